"""How a detached stream begins and ends, as entries of its channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from streamkit._engine.register import logger
from streamkit.channels._entry import write_payload
from streamkit.channels._position import MAX_NAME, check_channel
from streamkit.sse import Event

End = Literal["done", "failed", "cancelled", "lost"]

State = Literal["unknown", "running", "done", "failed", "cancelled", "lost"]

PREFIX = "detached:"
"""Keeps the keys of streams apart from the names of channels in the same log."""

STARTED = b"tstarted\n"
"""The first entry of a stream, which is shown to nobody."""

FAILED = "The answer could not be completed."
LOST = "The server that wrote this answer has gone."


@dataclass(frozen=True, slots=True)
class Status:
    """How a detached stream stands.

    Attributes:
        state: `"running"`; one of the four ends; or `"unknown"`: never started, or forgotten by the log.
        seen: Whether the client with the id that was asked about has seen the end.
    """

    state: State
    seen: bool

    @property
    def code(self) -> Literal[200, 204, 404]:
        """The HTTP status to answer a reader with: 200 and the stream; 404 where there is none; 204 after its end.

        EventSource comes back after an end, unless it is told by 204 not to (WHATWG HTML, 9.2.3).
        """
        if self.state == "unknown":
            return 404
        return 204 if self.seen else 200


def channel_of(key: object) -> str:
    """Return the channel of a detached stream.

    Raises:
        TypeError: The key is not text.
        ValueError: It is empty, too long, or has a lone surrogate.
    """
    if not isinstance(key, str):
        raise TypeError(f"key must be a str, not {key!r:.200}")
    most = MAX_NAME - len(PREFIX)
    if not 1 <= len(key.encode(errors="surrogatepass")) <= most:
        raise ValueError(f"key must have 1 to {most} bytes in UTF-8, and this has not: {key!r:.300}")
    try:
        return check_channel(PREFIX + key)
    except ValueError:
        raise ValueError(f"key must not hold a lone surrogate; got {key!r:.300}") from None


def end_payload(end: End, text: str | None = None) -> bytes:
    """Return the last entry of a stream: an event whose type is how it ended.

    Args:
        end: How.
        text: What the readers of one that failed are told; None for the general sentence.
    """
    if end in {"done", "cancelled"}:
        return write_payload(Event("", event=end), None)
    return write_payload(Event({"error": LOST if end == "lost" else text or FAILED}, event=end), None)


def told_of(error: Exception, error_text: Callable[[Exception], str] | None) -> str | None:
    """Return what readers are told of an exception; None for the general sentence."""
    if error_text is None:
        return None
    try:
        text = error_text(error)
    except Exception:
        logger.exception("Detached.error_text failed; readers get the general sentence")
        return None
    if isinstance(text, str):
        return text
    logger.error("Detached.error_text must return a str, not %.200r; readers get the general sentence", text)
    return None


def state_of(payload: bytes) -> State:
    """Return the end that the last entry of a stream stands for."""
    kind = payload[1:].partition(b"\n")[0]
    ends: dict[bytes, State] = {b"done": "done", b"failed": "failed", b"cancelled": "cancelled", b"lost": "lost"}
    return ends.get(kind, "unknown")
