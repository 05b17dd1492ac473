"""Limits on open streams, for the process and for each key; and the one on the threads that run sync sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from streamkit._engine.policy import check_int
from streamkit._engine.threads import PerProcess, new_lock
from streamkit.errors import TooManyStreamsError


class _Counts:
    """The streams of one process."""

    def __init__(self) -> None:
        self.lock = new_lock()
        self.open = 0
        self.of_key = Counter[Hashable]()


class StreamLimit:
    """Refuse streams over a number; one object shared by the responses that count together.

        LIMIT = StreamLimit(500, per_key=5)
        return EventStreamResponse(news(), limit=LIMIT, key=user.id)

    A stream over the limit is refused before its source starts. A browser's EventSource gets 200, a `retry:` of some
    seconds and a clean end, since it never comes back after another status (WHATWG HTML, 9.2.3); any other client gets
    503 with Retry-After. Every process counts its own streams.

    Args:
        total: How many may be open at a time in this process.
        per_key: How many of them with the same `key`; None for no such limit. Streams without a key have none.

    Raises:
        ValueError: A number is not an int of at least 1.
    """

    def __init__(self, total: int, *, per_key: int | None = None) -> None:
        check_int("StreamLimit.total", total)
        if per_key is not None:
            check_int("StreamLimit.per_key", per_key)
        self.total = total
        self.per_key = per_key
        self._counts = PerProcess(_Counts)

    @property
    def open(self) -> int:
        """How many streams count now."""
        return self._counts.here().open

    def reached(self, key: Hashable = None) -> int | None:
        """Return the number that another stream of `key` would exceed, or None where it may open."""
        counts = self._counts.here()
        if counts.open >= self.total:
            return self.total
        if self.per_key is not None and key is not None and counts.of_key[key] >= self.per_key:
            return self.per_key
        return None

    def acquire(self, key: Hashable = None) -> None:
        """Count one stream more.

        Raises:
            TooManyStreamsError: There are as many as allowed.
        """
        counts = self._counts.here()
        with counts.lock:
            if (most := self.reached(key)) is not None:
                raise TooManyStreamsError(most)
            counts.open += 1
            counts.of_key[key] += 1

    def release(self, key: Hashable = None) -> None:
        """Count one stream less."""
        counts = self._counts.here()
        with counts.lock:
            counts.open -= 1
            counts.of_key[key] -= 1
            if not counts.of_key[key]:
                del counts.of_key[key]


CAP = StreamLimit(1_000)
"""Counts the pump threads of this process."""


def set_max_threads(limit: int) -> None:
    """Set how many sync sources of this process may be pumped by a thread of their own at a time.

    1,000 unless set: each costs a stack and a share of the scheduler. A stream over the limit is refused before its
    head: a browser's EventSource is told when to come back, any other client gets 503 with Retry-After.

    Args:
        limit: Threads, at least 1. Streams already open stay open.

    Raises:
        ValueError: `limit` is not an int of at least 1.
    """
    check_int("max_threads", limit)
    CAP.total = limit
