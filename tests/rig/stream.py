"""The client's view of one response, the same for a socket and for an application driven in process.

A `Stream` knows the head, the pieces of body with the time each arrived, and how the body ended. Transports
subclass it and say only how the next thing arrives. Times are `time.monotonic()`, which on one machine all
processes share. No wait is without a bound, and `Stalled` says what had arrived until then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

Ending = Literal["open", "chunk", "length", "close", "returned", "truncated"]

CLEAN: frozenset[Ending] = frozenset({"chunk", "length", "close", "returned"})


class Stalled(AssertionError):
    """What was waited for did not arrive in time."""


@dataclass(frozen=True)
class Head:
    """Status and headers of a response, names in lower case, with the time they arrived."""

    status: int
    headers: tuple[tuple[str, str], ...]
    at: float

    def get(self, name: str) -> str | None:
        """Return the value of a header, several joined by a comma; None where there is none."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None


@dataclass(frozen=True)
class Piece:
    """Bytes of body that arrived together."""

    data: bytes
    at: float


class Stream:
    """One response as it arrives.

    `ending` is "open" until the body ended; "chunk", "length" and "close" are the clean ends of HTTP/1.1,
    "returned" that of an application driven in process, where `error` is what the application raised.
    """

    def __init__(self) -> None:
        self.opened_at = time.monotonic()
        self.left_at: float | None = None
        self.ending: Ending = "open"
        self.error: BaseException | None = None
        self._head: Head | None = None
        self._body = bytearray()
        self._pieces = 0
        self._unread: list[Piece] = []

    def _advance(self, within: float) -> bool:
        """Wait up to `within` seconds for one arrival and take it in; False where nothing came."""
        raise NotImplementedError

    def leave(self, *, reset: bool = False) -> None:
        """Go away without a word; with `reset` by RST instead of FIN."""
        raise NotImplementedError

    def head(self, within: float = 5.0) -> Head:
        """Wait for the head and return it; the body may still be silent."""
        self._wait(lambda: self._head is not None or self.ending != "open", within, "the head")
        if self._head is None:
            raise Stalled(f"ended before the head: {self.describe()}")
        return self._head

    def piece(self, within: float = 5.0) -> Piece | None:
        """Return the next piece of body, or None when the body ended."""
        self._wait(lambda: bool(self._unread) or self.ending != "open", within, "a piece of body")
        return self._unread.pop(0) if self._unread else None

    def read_until(self, wanted: bytes, within: float = 5.0) -> bytes:
        """Read until the body so far contains `wanted`; return the body so far."""
        # Only what is new is searched, and the seam: bodies of many megabytes are read this way.
        searched = 0

        def found() -> bool:
            nonlocal searched
            start, searched = max(0, searched - len(wanted)), len(self._body)
            return self._body.find(wanted, start) >= 0

        self._wait(lambda: found() or self.ending != "open", within, repr(wanted))
        if wanted not in self._body:
            raise Stalled(f"the body ended before {wanted!r}: {self.describe()}")
        self._unread.clear()
        return self.body

    def read_to_end(self, within: float = 10.0) -> bytes:
        """Read until the body ended; return all of it."""
        self._wait(lambda: self.ending != "open", within, "the end of the body")
        self._unread.clear()
        return self.body

    def silent_for(self, seconds: float) -> bool:
        """Say whether neither body nor end arrives within `seconds`."""
        until = time.monotonic() + seconds
        while not self._unread and self.ending == "open":
            left = until - time.monotonic()
            if left <= 0:
                return True
            self._advance(left)
        return False

    def drain(self, pause: float) -> bytes:
        """Read until the body ended or nothing came for `pause` seconds; return the body so far."""
        while self.ending == "open" and self._advance(pause):
            pass
        self._unread.clear()
        return self.body

    def linger(self, seconds: float) -> bytes:
        """Look for bytes after the end, where there must be none; return the body so far."""
        self._advance(seconds)
        return self.body

    @property
    def body(self) -> bytes:
        """The body that has arrived so far."""
        return bytes(self._body)

    @property
    def status(self) -> int | None:
        """The status, None while there is no head."""
        return self._head.status if self._head else None

    @property
    def clean(self) -> bool:
        """Whether the body ended as a complete one."""
        return self.ending in CLEAN

    def describe(self) -> str:
        """Say what has arrived, for an error."""
        head = f"status {self._head.status}" if self._head else "no head"
        shown = self.body if len(self.body) <= 300 else self.body[:150] + b" ... " + self.body[-150:]
        age = time.monotonic() - self.opened_at
        return (
            f"{head}, {len(self.body)} bytes in {self._pieces} pieces, {self.ending} after {age:.2f} s: {shown!r}"
            + (f", raised {self.error!r}" if self.error else "")
        )

    def _arrived(self, data: bytes) -> None:
        if data:
            piece = Piece(data, time.monotonic())
            self._pieces += 1
            self._body += data
            self._unread.append(piece)

    def _wait(self, ready: Callable[[], bool], within: float, wanted: str) -> None:
        until = time.monotonic() + within
        while not ready():
            left = until - time.monotonic()
            if left <= 0:
                raise Stalled(f"no sign of {wanted} within {within} s: {self.describe()}")
            self._advance(left)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
