"""What is known of an open stream, however its test waits; and when a wait is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from streamkit.sse import Event
from streamkit.testing._drive import Drive, why
from streamkit.testing._errors import StreamEndedError, StreamTimeoutError
from streamkit.testing._reading import Reading
from streamkit.testing._request import Arrival, Head


class Headers(Mapping[str, str]):
    """Headers by their name, in any case; what came several times is joined by a comma, and found by `get_all`."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = [(name.lower(), value) for name, value in pairs]

    def get_all(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self._pairs if key == name.lower()]

    def __getitem__(self, name: str) -> str:
        if not (values := self.get_all(name)):
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._pairs))

    def __len__(self) -> int:
        return len(dict(self._pairs))

    def __repr__(self) -> str:
        return f"Headers({self._pairs!r})"


class Opened:
    """What both kinds of open stream know."""

    def __init__(self, drive: Drive, timeout: float) -> None:
        self._drive = drive
        self._timeout = timeout
        self._reading = Reading()
        self._done = False  # nothing more will arrive

    @property
    def status_code(self) -> int:
        """The status code of the response."""
        return self._reading.status

    @property
    def headers(self) -> Headers:
        """The headers of the response."""
        return Headers(self._reading.headers)

    @property
    def raw(self) -> bytes:
        """The bytes of the body that have arrived so far."""
        return bytes(self._reading.raw)

    @property
    def comments(self) -> list[str]:
        """The comments of an event stream so far; each keepalive is an empty one."""
        return list(self._reading.comments)

    @property
    def closed_reason(self) -> str | None:
        """Why the stream has ended, as its `on_close` is told: "completed", "error", "max_age" and so on.

        None while it is open. Of a stream that streamkit does not serve, "completed", "disconnected" or "error".
        """
        return self._drive.reason

    @property
    def error(self) -> BaseException | None:
        """What the app raised to its server; None where it did not."""
        return self._drive.error

    def _check_head(self) -> None:
        if not self.status_code:
            raise self.error or StreamEndedError("the app gave no response")

    def _limit(self, wanted: str) -> Callable[[], float]:
        """Return a function of the seconds that are left of a wait, which raises when none are."""
        until = time.monotonic() + self._timeout

        def left() -> float:
            seconds = until - time.monotonic()
            if seconds <= 0:
                raise StreamTimeoutError(f"{wanted} did not come within {self._timeout:g} s; {self._reading}")
            return seconds

        return left

    def _absorb(self, arrivals: list[Arrival] | None) -> None:
        """Take what has arrived; an empty list is the end, None nothing."""
        if arrivals is None:
            return
        for one in arrivals:
            if isinstance(one, Head):
                self._reading.begin(one.status, one.headers)
                self._drive.request.keep_cookies(one)
            else:
                self._reading.feed(one)
        if not arrivals and not self._done:
            self._done = True
            if self._drive.whole:
                self._reading.end()

    def _has(self, ready: Callable[[], object], wanted: str) -> bool:
        """Tell whether what is wanted is there.

        Raises:
            StreamEndedError: It never will be.
            NotAStreamError: The response can have no items.
        """
        if ready():
            return True
        if self._done:
            self._reading.check()
            reason = self.closed_reason or "disconnected"
            raise StreamEndedError(
                f"{wanted} did not come: the stream ended, {reason}{why(self.error)}; {self._reading}"
            ) from self.error
        return False

    def _is_failed(self) -> bool:
        """Tell, at the end of an iteration, whether the body was cut; a client that has left saw no fault."""
        self._reading.check()
        return not self._drive.whole and not self._drive.left

    def _items(self, count: int) -> Callable[[], bool]:
        if count < 0:
            raise ValueError(f"take() takes a number of items from 0; got {count!r}")
        return lambda: len(self._reading.unread) >= count

    def _taken(self, count: int) -> list[Any]:
        return [self._reading.unread.popleft() for _ in range(count)]

    def _leave(self) -> None:
        if not self._drive.left:
            self._absorb(self._drive.arrivals.take() or None)
            self._drive.leave()
        self._done = self._done or not self._drive.whole

    def _stuck(self) -> StreamTimeoutError:
        self._drive.abandon()
        return StreamTimeoutError(
            f"the app did not end within {self._timeout:g} s of its client's leaving; {self._reading}"
        )


def match(predicate: Any, fields: dict[str, Any]) -> tuple[Callable[[Any], bool], str]:
    """Return what tells the item that `until` is asked for, and its name in an error."""
    if unknown := fields.keys() - {"event", "data", "id"}:
        raise TypeError(f"until() knows the fields event, data and id of an event, not {min(unknown)!r}")
    shown = ", ".join(
        [*([repr(predicate)] if predicate is not None else []), *(f"{k}={v!r}" for k, v in fields.items())]
    )
    if not shown:
        raise TypeError("until() takes an item, a function of an item, or fields of an event such as event='done'")

    def matches(item: Any) -> bool:
        is_it = True if predicate is None else predicate(item) if callable(predicate) else item == predicate
        if not fields:
            return bool(is_it)
        return bool(is_it) and isinstance(item, Event) and all(getattr(item, k) == v for k, v in fields.items())

    return matches, f"until({shown})"
