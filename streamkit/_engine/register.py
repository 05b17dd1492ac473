"""All streams that are open in this process, and what has become of those that were.

A fork has its parent's memory and none of its streams, so each process has a register of its own.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from streamkit._engine.limit import CAP
from streamkit._engine.threads import PerProcess, new_lock

if TYPE_CHECKING:
    from streamkit._engine.keepalive import Rounds
    from streamkit._engine.life import Life, Reason

logger = logging.getLogger("streamkit")


@dataclass(frozen=True, slots=True)
class Stats:
    """The streams of this process: those that are open, and sums over all since it started.

    Attributes:
        open: How many are open now.
        opened: How many there have been.
        frames: How many items they encoded.
        bytes: How many bytes of body the servers took, keepalives among them.
        ends: How many ended for each reason; a reason that never was is absent.
        oldest_age: Seconds since the oldest open stream began; 0.0 where none is open.
        slowest_flush: Seconds of the longest wait for a server to take bytes.
        threads: How many threads run sync sources now; one that is stuck in its source after its client left counts.
    """

    open: int
    opened: int
    frames: int
    bytes: int
    ends: dict[str, int] = field(hash=False)
    oldest_age: float
    slowest_flush: float
    threads: int


class Register:
    """The open streams of one process and the sums over those that have ended.

    Attributes:
        leaving: Whether the process is about to leave, so that streams which are opened now should too.
        listeners: Called when the streams are told to end, in any thread.
        rounds: What looks after silent streams, by the loop and the clock; kept by those streams.
    """

    def __init__(self) -> None:
        self._lock = new_lock()
        self._open: dict[Life, None] = {}
        self._opened, self._frames, self._bytes, self._slowest = 0, 0, 0, 0.0
        self._ends: Counter[str] = Counter()
        self.leaving = False
        self.listeners: set[Callable[[], object]] = set()
        self.rounds: WeakValueDictionary[tuple[int, int], Rounds] = WeakValueDictionary()

    def add(self, life: Life) -> None:
        """Count a stream as open."""
        with self._lock:
            self._open[life] = None
            self._opened += 1

    def remove(self, life: Life, reason: Reason | None) -> None:
        """Count a stream as ended; without a reason, as one that never was."""
        with self._lock:
            del self._open[life]
            if reason is None:
                self._opened -= 1
                return
            self._ends[reason] += 1
            self._frames += life.frames
            self._bytes += life.bytes
            self._slowest = max(self._slowest, life.slowest_flush)

    def all_open(self) -> list[Life]:
        """Return the streams that are open now, the oldest first."""
        with self._lock:
            return list(self._open)

    def stats(self) -> Stats:
        """Return the figures of now."""
        with self._lock:
            alive = list(self._open)
            return Stats(
                open=len(alive),
                opened=self._opened,
                frames=self._frames + sum(life.frames for life in alive),
                bytes=self._bytes + sum(life.bytes for life in alive),
                ends=dict(self._ends),
                oldest_age=alive[0].age if alive else 0.0,
                slowest_flush=max([self._slowest, *(life.slowest_flush for life in alive)]),
                threads=CAP.open,
            )


_OF = PerProcess(Register)


def register() -> Register:
    """Return the register of this process."""
    return _OF.here()


def stats() -> Stats:
    """Return how many streams this process has open, what they have sent and why they ended.

    Cheap enough to be asked every second. Each process counts its own: with several workers, sum them up.
    """
    return register().stats()


def close_streams(key: Hashable) -> int:
    """End every stream of this process that was opened with `key=key`, as at a logout; from any thread.

    A stream that may be cut ends cleanly, with the time to come back (see `StreamPolicy.drain`): answer the browser
    that does with 204, which tells EventSource to stop (WHATWG HTML, 9.2.3). Any other is cut off, so that its client
    sees an error and no whole answer. The source is closed as when a client leaves; `on_close` gets `"closed"`.

    Returns:
        How many streams were told to end.

    Raises:
        TypeError: `key` is None, which no stream is opened with, or cannot be hashed.
    """
    check_key(key)
    if key is None:
        raise TypeError("close_streams() takes the key that streams were opened with, not None")
    found = [life for life in register().all_open() if life.key == key]
    for life in found:
        life.end("closed")
    return len(found)


def drain() -> int:
    """Tell every open stream of this process to end, as a server's shutdown does; from any thread. Returns at once.

    Each ends as its `StreamPolicy.drain` says: at once and cleanly, or when it has completed within its `grace`, or by
    being cut off after it. Streams that are opened later are not touched.

    Returns:
        How many streams were told to end.
    """
    found = register().all_open()
    for life in found:
        life.drain("drained")
    for tell in list(register().listeners):
        tell()
    return len(found)


def check_key(key: object) -> None:
    """Raise TypeError unless `key` can be hashed."""
    try:
        hash(key)
    except TypeError:
        raise TypeError(f"key must be hashable, such as a user's id, not {key!r:.200}") from None
