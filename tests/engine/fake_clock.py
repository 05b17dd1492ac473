"""Time that a test moves by hand: nothing waits, and everything that was due has happened when `advance` returns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from streamkit._engine.clock import Clock
from streamkit._engine.threads import Parker

TURNS = 20
"""Turns of the loop in which whatever a timer set off, in process, has come to rest."""


@dataclass(eq=False)
class FakeTimer:
    """A call that happens when the clock gets there."""

    at: float
    loop: asyncio.AbstractEventLoop
    callback: Callable[[], object]
    cancelled: bool = False

    def cancel(self) -> None:
        """Call it off."""
        self.cancelled = True


@dataclass(eq=False)
class Sleeper:
    """A thread that waits, at most until a certain time."""

    until: float
    parker: Parker
    overslept: bool = field(default=False)


class FakeClock(Clock):
    """Implements the engine's clock; loops and threads may share one."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._timers: list[FakeTimer] = []
        self._sleepers: list[Sleeper] = []
        self._changed = threading.Condition()

    def now(self) -> float:
        """Return the time that the test has set."""
        return self._now

    def call_later(self, loop: asyncio.AbstractEventLoop, delay: float, callback: Callable[[], object]) -> FakeTimer:
        """Remember a call for `advance`."""
        timer = FakeTimer(self._now + delay, loop, callback)
        self._timers.append(timer)
        return timer

    def park(self, parker: Parker, timeout: float | None) -> bool:
        """Sleep until woken, or until the test moves the clock past `timeout`."""
        sleeper = Sleeper(float("inf") if timeout is None else self._now + timeout, parker)
        with self._changed:
            self._sleepers.append(sleeper)
            self._changed.notify_all()
        woken = parker.park(10)
        with self._changed:
            self._sleepers.remove(sleeper)
        assert woken, "a thread was left asleep"
        return not sleeper.overslept

    @property
    def pending(self) -> list[float]:
        """The seconds in which timers are due, soonest first."""
        return sorted(timer.at - self._now for timer in self._timers if not timer.cancelled)

    @property
    def sleeping(self) -> int:
        """How many threads wait."""
        with self._changed:
            return len(self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Let time pass for the running loop, timer by timer."""
        until = self._now + seconds
        await settle()
        while due := [timer for timer in self._timers if timer.at <= until and not timer.cancelled]:
            timer = min(due, key=lambda timer: timer.at)
            self._timers.remove(timer)
            self._now = max(self._now, timer.at)
            timer.callback()
            await settle()
        self._now = until

    def move(self, seconds: float) -> None:
        """Let time pass for a thread that waits for sockets, too; the test wakes it."""
        self._now += seconds

    def advance_threads(self, seconds: float) -> None:
        """Let time pass for threads: once one sleeps, and until all that were due are awake."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._sleepers, 5), "no thread waits"
            self._now += seconds
            due = [sleeper for sleeper in self._sleepers if sleeper.until <= self._now]
        for sleeper in due:
            sleeper.overslept = True
            sleeper.parker.wake()


async def settle() -> None:
    """Give everything on this loop the turns it needs to come to rest."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
