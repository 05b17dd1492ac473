"""Time that a test moves by hand: keepalives and ages come when the clock gets there, and nobody waits for them.

A clock is found by the streams that are made in its Context, so the code under test is not changed and other threads
and tests keep the system's time. Only waits of streamkit go by it; `sleep` in the code under test does not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import Token
from typing import TYPE_CHECKING, Any, Protocol

from streamkit._engine.clock import SYSTEM, TIME, Clock, Timer
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


class ManualClock(Clock):
    """The engine's clock, moved by `move_to`; loops and threads may share one."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._dues: list[Due] = []
        self._changed = threading.Condition()

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

    def next_due(self, until: float) -> Due | None:
        """Take out what is due first, up to a time, and move the clock there; None when nothing is."""
        with self._changed:
            self._dues = [due for due in self._dues if not due.cancelled]
            due = min(self._dues, key=lambda due: due.at, default=None)
            if due is None or due.at > until:
                return None
            self._dues.remove(due)
            self._now = max(self._now, due.at)
            return due


class Followed(Protocol):
    """Something whose work goes on in another thread, and comes to rest."""

    def rest(self) -> None:
        """Wait until it has done all that it can do without time passing."""


class FollowingClock(ManualClock):
    """A clock that knows the streams which a test has opened by it."""

    def of(self, _life: object) -> Clock:
        """Be the time of any stream."""
        return self

    def __init__(self) -> None:
        super().__init__()
        self.followed: set[Followed] = set()

    def _target(self, seconds: float) -> float:
        if not seconds >= 0:
            raise ValueError(f"a clock is moved forward, by seconds >= 0, not {seconds!r}")
        return self._now + seconds

    def _rest(self, loop: AbstractEventLoop | None = None) -> None:
        if loop is not None:
            rest(loop)
        for one in list(self.followed):
            one.rest()


class FakeClock(FollowingClock):
    """What `with fake_clock()` gives to a sync test."""

    def advance(self, seconds: float) -> None:
        """Let time pass for every stream that goes by this clock, step by step.

        What becomes due is done in order: with a keepalive of 15 s, 60 make four. When this returns, all of it has
        happened.

        Args:
            seconds: From 0.

        Raises:
            ValueError: `seconds` is negative: time does not go back.
        """
        until = self._target(seconds)
        self._rest()
        while due := self.next_due(until):
            due.fire()
            self._rest(due.loop)
        self._now = until


class AsyncFakeClock(FollowingClock):
    """What `async with fake_clock()` gives to an async test."""

    async def advance(self, seconds: float) -> None:
        """See `FakeClock`."""
        until = self._target(seconds)
        await self._rest_here()
        while due := self.next_due(until):
            due.fire()
            await self._rest_here(due.loop)
        self._now = until

    async def _rest_here(self, loop: AbstractEventLoop | None = None) -> None:
        await settle()
        self._rest(loop)
        await settle()


class fake_clock:
    """Have the streams that are made inside `with` or `async with` live by a clock that only the test moves.

    It reaches responses that a view builds; what it does not reach is listed in docs/testing.md.
    """

    _token: Token[Callable[[Any], Clock]]

    def __enter__(self) -> FakeClock:
        clock = FakeClock()
        self._token = TIME.set(clock.of)
        return clock

    def __exit__(self, *error: object) -> None:
        TIME.reset(self._token)

    async def __aenter__(self) -> AsyncFakeClock:
        clock = AsyncFakeClock()
        self._token = TIME.set(clock.of)
        return clock

    async def __aexit__(self, *error: object) -> None:
        TIME.reset(self._token)


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
