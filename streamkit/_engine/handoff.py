"""The bounded buffer between two sides, each of which may be a thread, a greenlet or an event loop.

A reader that comes back for more has dealt with what it took before; until then that still counts as waiting here. So
the limit bounds what the process holds for a slow reader, also while a server is writing.

Nothing here waits. A side that must wait registers a callable and goes to sleep in its own way; the other side calls
it, once, from wherever it is. `put` refuses when full and `take` may come back empty, so no wake-up is ever missed:
register, and where registering says "no need", try again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from streamkit._engine.clock import SYSTEM, Clock
from streamkit._engine.threads import new_lock, new_parker
from streamkit.errors import PipeClosedError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

T = TypeVar("T")
Wake = Callable[[], object]
When = Callable[[Wake], bool]
"""Registers a wake-up; False when there is no need to wait. The `when_` methods of a handoff."""


def one(_item: object) -> int:
    """Weigh every item the same."""
    return 1


class Handoff(Generic[T]):
    """Items on their way from the side that produces to the side that reads.

    Args:
        limit: The weight at which the producer is paused; may be changed.
        weigh: Gives an item's weight; `len` for bytes.
    """

    def __init__(self, limit: int, weigh: Callable[[T], int] = one) -> None:
        self._lock = new_lock()
        self.limit: int = limit
        self._weigh = weigh
        self._items: list[T] = []
        self._weight = 0
        self._taken = 0  # the part of the weight that the reader is dealing with
        self._ended = False
        self._error: BaseException | None = None
        self._closed = False
        self._reader: Wake | None = None
        self._writers: list[Wake] = []

    def put(self, item: T) -> bool:
        """Append `item`; False when the buffer is full and the caller must wait for room.

        Raises:
            PipeClosedError: The reader has left, or the producer has ended before.
        """
        with self._lock:
            if self._closed or self._ended:
                raise PipeClosedError("the reader has left" if self._closed else "put() after close()")
            if self._weight >= self.limit:
                return False
            self._items.append(item)
            self._weight += self._weigh(item)
            reader, self._reader = self._reader, None
        if reader is not None:
            reader()
        return True

    def end(self, error: BaseException | None = None) -> None:
        """Say that nothing more will come; `error` reaches the reader after the items before it."""
        with self._lock:
            if self._ended:
                return
            self._ended, self._error = True, _visible(error)
            wakes = self._wakes()
        for wake in wakes:
            wake()

    def close(self, *, keep: bool = False) -> None:
        """Say that the reader wants no more: items are dropped, producers are told.

        With `keep` the reader still wants what is there.
        """
        with self._lock:
            self._closed = True
            if not keep:
                self._items.clear()
            wakes = self._wakes()
        for wake in wakes:
            wake()

    def _wakes(self) -> list[Wake]:
        wakes, self._writers = self._writers, []
        if self._reader is not None:
            wakes.append(self._reader)
            self._reader = None
        return wakes

    def take(self, most: int | None = None) -> list[T]:
        """Take what is there; of many items the `most` oldest."""
        with self._lock:
            taken = self._items[:most]
            del self._items[:most]
            freed, self._taken = self._taken, sum(map(self._weigh, taken))
            self._weight -= freed
            writers: list[Wake] = []
            if freed:
                writers, self._writers = self._writers, []
        for wake in writers:
            wake()
        return taken

    @property
    def ended(self) -> bool:
        """Whether the producer has ended."""
        return self._ended

    @property
    def closed(self) -> bool:
        """Whether the reader has left."""
        return self._closed

    @property
    def finished(self) -> bool:
        """Whether the producer has ended and everything was taken; raises the error it ended with."""
        with self._lock:
            if self._items or not (self._ended or self._closed):
                return False
            error, self._error = self._error, None
        if error is not None:
            raise error
        return True

    def when_readable(self, wake: Wake) -> bool:
        """Have `wake` called when there is something to take or the end; False when there is already."""
        with self._lock:
            if self._items or self._ended or self._closed:
                return False
            self._reader = wake
            return True

    def when_room(self, wake: Wake) -> bool:
        """Have `wake` called when `put` is worth another try; False when it is already."""
        with self._lock:
            if self._weight < self.limit or self._closed or self._ended:
                return False
            self._writers.append(wake)
            return True

    def when_taken(self, wake: Wake) -> bool:
        """Have `wake` called when what is there now has been taken; False when there is nothing."""
        with self._lock:
            if not self._items or self._closed:
                return False
            self._writers.append(wake)
            return True


def put_from_thread(handoff: Handoff[T], item: T, timeout: float | None = None, clock: Clock = SYSTEM) -> bool:
    """Put `item`, sleeping while the buffer is full; False when `timeout` seconds passed first.

    Raises:
        PipeClosedError: The reader has left.
    """
    while not handoff.put(item):
        if not wait_in_thread(handoff.when_room, timeout, clock):
            return False
    return True


def _visible(error: BaseException | None) -> BaseException | None:
    """Return `error`; raised by a reader's `next`, these two would pass for a clean end."""
    if isinstance(error, StopIteration | StopAsyncIteration):
        visible = RuntimeError(f"the stream failed with {error!r}")
        visible.__cause__ = error
        return visible
    return error


async def put_from_loop(handoff: Handoff[T], item: T) -> None:
    """Put `item`, awaiting room while the buffer is full.

    Raises:
        PipeClosedError: The reader has left.
    """
    while not handoff.put(item):
        await wait_in_loop(handoff.when_room)


def take_in_thread(
    handoff: Handoff[T], most: int | None = None, timeout: float | None = None, clock: Clock = SYSTEM
) -> list[T] | None:
    """Take what is there, sleeping until there is something.

    Returns:
        Of many items the `most` oldest; none at the end; None when `timeout` seconds passed first.
    """
    while not (taken := handoff.take(most)) and not handoff.finished:
        if not wait_in_thread(handoff.when_readable, timeout, clock):
            return None
    return taken


async def take_in_loop(
    handoff: Handoff[T], most: int | None = None, timeout: float | None = None, clock: Clock = SYSTEM
) -> list[T] | None:
    """Do what `take_in_thread` does, awaiting."""
    while not (taken := handoff.take(most)) and not handoff.finished:
        if not await wait_in_loop(handoff.when_readable, timeout, clock):
            return None
    return taken


def wait_in_thread(when: When, timeout: float | None = None, clock: Clock = SYSTEM) -> bool:
    """Sleep until what `when` registers for has come; False when `timeout` seconds passed first."""
    parker = new_parker()
    return not when(parker.wake) or clock.park(parker, timeout)


async def wait_in_loop(when: When, timeout: float | None = None, clock: Clock = SYSTEM) -> bool:
    """Do what `wait_in_thread` does, awaiting."""
    import asyncio

    loop = asyncio.get_running_loop()
    future: Future[bool] = loop.create_future()
    if not when(lambda: call_threadsafe(loop, lambda: _settle(future, True))):
        return True
    if timeout is None:
        return await future
    timer = clock.call_later(loop, timeout, lambda: _settle(future, False))
    try:
        return await future
    finally:
        timer.cancel()


def _settle(future: Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)


def call_threadsafe(loop: AbstractEventLoop, call: Callable[[], object]) -> None:
    """Run `call` on `loop`, from any thread; a loop that was closed needs no call any more."""
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        if not loop.is_closed():
            raise
