"""Time that a test moves: what keepalives and ages wait by, on loops and in threads, and how it is made to pass.

`ManualClock` and `StreamClock` are clocks of the engine; what a test has in its hands is in `_fake_clock`. Only waits
of streamkit go by them; `sleep` in the code under test does not. Nothing here waits for longer than PATIENCE.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from streamkit._engine.clock import SYSTEM, Clock, Timer
from streamkit._engine.handoff import call_threadsafe
from streamkit._engine.threads import Parker, running_loop

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

TURNS = 20
"""Turns of an event loop in which whatever a timer set off has come to rest."""

PATIENCE = 10.0
"""Seconds, of the system's, that a clock waits for a loop or a thread that does not come to rest."""


class Due:
    """What happens when a clock gets there: a call on a loop, or the end of a thread's sleep."""

    def __init__(
        self,
        at: float,
        fire: Callable[[], object],
        *,
        loop: AbstractEventLoop | None = None,
        parker: Parker | None = None,
    ) -> None:
        self.at = at
        self.loop = loop
        self.parker = parker
        self.cancelled: bool = False
        self.fired: bool = False
        self._fire = fire

    def fire(self) -> None:
        """Let it happen; a call on a loop of another thread happens there."""
        self.fired = True
        if self.loop is None or self.loop is running_loop():
            self._fire()
        else:
            call_threadsafe(self.loop, lambda: None if self.cancelled else self._fire())

    def cancel(self) -> None:
        """Call it off."""
        self.cancelled = True


class Followed(Protocol):
    """Something whose work goes on in another thread, and comes to rest."""

    def rest(self) -> None:
        """Wait until it has done all that it can do without time passing."""


class ManualClock(Clock):
    """The engine's clock, moved by a test; loops and threads may share one.

    Attributes:
        followed: The streams that a test has opened by it, and whose work goes on elsewhere.
    """

    def __init__(self) -> None:
        self._now = 1000.0
        self._dues: list[Due] = []
        self._changed = threading.Condition()
        self.followed: set[Followed] = set()

    def now(self) -> float:
        """Return the time that the test has set."""
        return self._now

    def call_later(self, loop: AbstractEventLoop, delay: float, callback: Callable[[], object]) -> Due:
        """Remember a call."""
        return self._add(Due(self._now + delay, callback, loop=loop))

    def park(self, parker: Parker, timeout: float | None) -> bool:
        """Sleep until woken, or until the test moves the clock past `timeout`."""
        due = self._add(Due(float("inf") if timeout is None else self._now + timeout, parker.wake, parker=parker))
        parker.park()
        with self._changed:
            if due in self._dues:
                self._dues.remove(due)
        return not due.fired

    def _add(self, due: Due) -> Due:
        with self._changed:
            self._dues.append(due)
            self._changed.notify_all()
        return due

    @property
    def pending(self) -> list[float]:
        """The seconds in which calls on loops are due, soonest first."""
        with self._changed:
            return sorted(due.at - self._now for due in self._dues if due.loop is not None and not due.cancelled)

    @property
    def sleeping(self) -> int:
        """How many threads wait."""
        with self._changed:
            return sum(due.loop is None for due in self._dues)

    def holds(self, parker: Parker) -> bool:
        """Tell whether a thread sleeps here, so that moving the clock may wake it."""
        with self._changed:
            return any(due.parker is parker for due in self._dues)

    def _next_due(self, until: float) -> Due | None:
        """Take out what is due first, up to a time, and move the clock there; None when nothing is."""
        with self._changed:
            self._dues = [due for due in self._dues if not due.cancelled]
            due = min(self._dues, key=lambda due: due.at, default=None)
            if due is None or due.at > until:
                return None
            self._dues.remove(due)
            self._now = max(self._now, due.at)
            return due

    def advance_elsewhere(self, seconds: float) -> None:
        """Let time pass, and whatever becomes due happen in order, for streams of other threads and their loops."""
        until = self._target(seconds)
        self._rest()
        while due := self._next_due(until):
            due.fire()
            self._rest(due.loop)
        self._now = until

    async def advance_here(self, seconds: float) -> None:
        """Do the same for streams on the running loop, too."""
        until = self._target(seconds)
        await self._rest_here()
        while due := self._next_due(until):
            due.fire()
            await self._rest_here(due.loop)
        self._now = until

    def _target(self, seconds: float) -> float:
        if not seconds >= 0:
            raise ValueError(f"a clock is moved forward, by seconds >= 0, not {seconds!r}")
        return self._now + seconds

    def _rest(self, loop: AbstractEventLoop | None = None) -> None:
        if loop is not None:
            rest(loop)
        for one in list(self.followed):
            one.rest()

    async def _rest_here(self, loop: AbstractEventLoop | None = None) -> None:
        await settle()
        self._rest(loop)
        await settle()


class StreamClock(Clock):
    """The time of one stream that a test has opened: that of `base`, and the system's once its client has left.

    A server's thread that waits for the next item learns of a client that has left when it writes the next
    keepalive. Here that is due at once.

    Attributes:
        base: The time until then.
        server: The thread that iterates a WSGI body, if one does.
        asking: Whether it is asking for the next item.
    """

    def __init__(self, base: Clock) -> None:
        self.base = base
        self.server: int | None = None
        self.asking = False
        self._lock = threading.Lock()
        self._left = False
        self._waiting: Parker | None = None

    def now(self) -> float:
        """Return the time of `base`."""
        return self.base.now()

    def call_later(self, loop: AbstractEventLoop, delay: float, callback: Callable[[], None]) -> Timer:
        """Call when `base` gets there."""
        return (SYSTEM if self._left else self.base).call_later(loop, delay, callback)

    def park(self, parker: Parker, timeout: float | None) -> bool:
        """Sleep by the time of `base`."""
        if not (self.asking and threading.get_ident() == self.server):
            return (SYSTEM if self._left else self.base).park(parker, timeout)
        with self._lock:
            if self._left:
                return False
            self._waiting = parker
        woken = self.base.park(parker, timeout)
        self._waiting = None
        return woken and not self._left

    @property
    def server_waits(self) -> bool:
        """Whether the server's thread waits for the next item, by a clock that a test may move now."""
        waiting, base = self._waiting, self.base
        return waiting is not None and isinstance(base, ManualClock) and base.holds(waiting)

    def leave(self) -> None:
        """Say that the client has left."""
        with self._lock:
            self._left = True
            if (waiting := self._waiting) is not None:
                waiting.wake()


async def settle() -> None:
    """Give everything on this loop the turns it needs to come to rest."""
    from asyncio import sleep

    for _ in range(TURNS):
        await sleep(0)


def rest(loop: AbstractEventLoop) -> None:
    """Wait until a loop of another thread has come to rest; on the loop of this one that is not for us to do."""
    import asyncio

    if loop is running_loop():
        return
    rested, until = threading.Event(), time.monotonic() + PATIENCE

    async def tell() -> None:
        await settle()
        rested.set()

    def begin() -> None:
        tasks.append(asyncio.ensure_future(tell()))

    tasks: list[object] = []
    call_threadsafe(loop, begin)
    while loop.is_running() and not rested.wait(0.02) and time.monotonic() < until:
        pass
