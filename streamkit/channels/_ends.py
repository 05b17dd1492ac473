"""How a detached stream begins and ends, as entries of its channel. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from streamkit.channels._entry import write_payload
from streamkit.channels._position import MAX_NAME, check_channel
from streamkit.errors import LogFullError
from streamkit.sse import Event

End = Literal["done", "failed", "cancelled", "lost"]

State = Literal["unknown", "running", "done", "failed", "cancelled", "lost"]

PREFIX = "detached:"

STARTED = b"tstarted\n"
"""The first entry of a stream, which is shown to nobody."""

FAILED = "The answer could not be completed."
LOST = "The server that wrote this answer has gone."


@dataclass(frozen=True, slots=True)
class Status:
    """How a detached stream stands.

    Attributes:
        state: `"running"`; one of the four ends; or `"unknown"`: never started, or forgotten by the log. Answer 404.
        seen: Whether the client with the id that was asked about has seen the end. Answer 204, which tells EventSource
            not to come back (WHATWG HTML, 9.2.3).
    """

    state: State
    seen: bool


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
    return check_channel(PREFIX + key)


def end_payload(end: End, error: Exception | None, error_text: Callable[[Exception], str] | None) -> bytes:
    """Return the last entry of a stream: an event whose type is how it ended.

    Args:
        end: How.
        error: What its source raised, if it did.
        error_text: Returns what its readers are told of that; None tells them no more than that it failed.
    """
    if end in {"done", "cancelled"}:
        return write_payload(Event("", event=end), None)
    text = LOST if end == "lost" else FAILED
    if isinstance(error, LogFullError):
        text = f"The answer is longer than its log keeps: {error.limit}."
    elif error is not None and error_text is not None:
        text = error_text(error)
    return write_payload(Event({"error": text}, event=end), None)


def state_of(payload: bytes) -> State:
    """Return the end that the last entry of a stream stands for."""
    kind = payload[1:].partition(b"\n")[0]
    ends: dict[bytes, State] = {b"done": "done", b"failed": "failed", b"cancelled": "cancelled", b"lost": "lost"}
    return ends.get(kind, "unknown")
