"""The options of a stream: a frozen value, checked when it is built.

Each option states its unit, its default and the reason for it. What belongs to encoding is an option of the format.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from streamkit._format import Format

DEFAULT_KEEPALIVE = 15.0

_INSTEAD = {"keepalive": (None, "auto"), "send_timeout": (None,), "max_age": (None,)}
"""What an option of seconds may be instead of seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPolicy:
    """Say how a stream behaves while it runs.

    Args:
        keepalive: Seconds of silence after which a filler is sent that no client sees as an event. `"auto"` is 15 for
            SSE and JSON text sequences (half of the smallest common idle limit of a proxy, 30 s) and off for NDJSON,
            whose naive readers fail on an empty line. A number asks for it in NDJSON too. `None` is off. Under ASGI a
            filler may be a sixteenth of that early, to leave together with those of other streams; never late.
        retry: Milliseconds a browser waits before it reconnects (WHATWG HTML, 9.2.6, field `retry`); rides inside the
            first event that has data. `None` leaves the browser's own default, about 3 seconds.
        buffer_size: Bytes that may wait in the process for a slow client before the source is paused. 64 KiB, one
            write of the servers we measured.
        cleanup_timeout: Seconds that a source's `finally` may take after its client has left.
        send_timeout: Seconds that one send on ASGI may take before the stream ends as one of a slow client. 30, twice
            what a phone in a tunnel takes to come back; `None` waits as long as the server does. Under WSGI the write
            is the server's, and so is its timeout.
        max_age: Seconds after which a stream ends, less up to a tenth, so that those of one moment do not all come
            back at once. `None`, the default, is never.
        drain: How a stream ends that must, at a shutdown or at its `max_age`. `"cut"`: at once, by a line `retry: …`
            and a clean end of the body; right where a client comes back and resumes. `"finish"`: it runs on for
            `grace` and is cut off then; right where a client takes a clean end for a whole answer, as SDKs of language
            models do. `"auto"` cuts what a browser's EventSource has asked for and has had an id on, the rest finishes.
        grace: Seconds that a stream which finishes has for it. 1: nobody waits long for a server to restart. Give a
            stream of answers what an answer takes, and let the server wait as long.

    Raises:
        ValueError: An option has a value of the wrong kind or out of range; the text names it and shows the value.
    """

    keepalive: float | Literal["auto"] | None = "auto"
    retry: int | None = None
    buffer_size: int = 65_536
    cleanup_timeout: float = 10.0
    send_timeout: float | None = 30.0
    max_age: float | None = None
    drain: Literal["auto", "cut", "finish"] = "auto"
    grace: float = 1.0

    def __post_init__(self) -> None:
        for name in ("keepalive", "cleanup_timeout", "send_timeout", "max_age", "grace"):
            if getattr(self, name) not in _INSTEAD.get(name, ()):
                check_seconds(f"StreamPolicy.{name}", getattr(self, name))
        if self.drain not in {"auto", "cut", "finish"}:
            raise ValueError(f"StreamPolicy.drain must be 'auto', 'cut' or 'finish', not {self.drain!r}")
        if self.retry is not None:
            check_int("StreamPolicy.retry", self.retry, least=0)
        check_int("StreamPolicy.buffer_size", self.buffer_size)

    def _keepalive_interval(self, format: Format) -> float | None:
        """Return the seconds between two fillers of `format`, or None where none are sent.

        Raises:
            ValueError: A keepalive was asked for and the format has nothing that could serve as one.
        """
        if self.keepalive is None:
            return None
        if self.keepalive == "auto":
            return DEFAULT_KEEPALIVE if format.keepalive and format.keepalive_by_default else None
        if not format.keepalive:
            raise ValueError(
                f"StreamPolicy.keepalive={self.keepalive!r}: {format.media_type} has no byte that a client ignores;"
                " use None, or stream server-sent events"
            )
        return self.keepalive


def check_seconds(name: str, value: object) -> None:
    """Raise ValueError unless `value`, that of the option `name`, is a finite number above zero."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:  # type: ignore[arg-type, operator]
        raise ValueError(f"{name} must be seconds above zero, not {value!r:.200}")


def check_int(name: str, value: object, *, least: int = 1) -> None:
    """Raise ValueError unless `value`, that of the option `name`, is an int of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be an int of at least {least}, not {value!r}")


def check_policy(policy: object) -> StreamPolicy:
    """Return `policy` when it is one.

    Raises:
        TypeError: It is something else; the text lists the options.
    """
    if isinstance(policy, StreamPolicy):
        return policy
    options = ", ".join(f"{field.name}=…" for field in fields(StreamPolicy))
    raise TypeError(f"policy must be a StreamPolicy({options}), not {policy!r}")
