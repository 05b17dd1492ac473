"""A limit on open streams, for the process and for each key."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable

from streamkit._engine.policy import check_int
from streamkit._engine.threads import new_lock
from streamkit.errors import TooManyStreamsError


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
        self.total, self.per_key = total, per_key
        self._pid = 0
        self._forget_parent()

    def _forget_parent(self) -> None:
        if self._pid != os.getpid():  # a fork has none of its parent's streams
            self._pid, self._open, self._keys, self._lock = os.getpid(), 0, Counter[Hashable](), new_lock()

    @property
    def open(self) -> int:
        """How many streams count now."""
        self._forget_parent()
        return self._open

    def reached(self, key: Hashable = None) -> int | None:
        """Return the number that another stream of `key` would exceed, or None where it may open."""
        self._forget_parent()
        if self._open >= self.total:
            return self.total
        if self.per_key is not None and key is not None and self._keys[key] >= self.per_key:
            return self.per_key
        return None

    def acquire(self, key: Hashable = None) -> None:
        """Count one stream more.

        Raises:
            TooManyStreamsError: There are as many as allowed.
        """
        self._forget_parent()
        with self._lock:
            if (most := self.reached(key)) is not None:
                raise TooManyStreamsError(most)
            self._open += 1
            self._keys[key] += 1

    def release(self, key: Hashable = None) -> None:
        """Count one stream less."""
        self._forget_parent()
        with self._lock:
            self._open -= 1
            self._keys[key] -= 1
            if not self._keys[key]:
                del self._keys[key]
