"""Notice that streams on an event loop have been silent for long enough. Never touches a source.

All streams of a loop share one timer. A filler is never late, but may come by a sixteenth of its time too early,
together with others: so thousands of silent streams are served in a few turns of the loop, in place of one each.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right, insort
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from time import perf_counter
from typing import Any

from streamkit._engine.clock import Clock, Timer
from streamkit._engine.delivery import noting_waits
from streamkit._engine.register import register
from streamkit._engine.stream import FIRST_KEEPALIVE

EARLY = 1 / 16
"""By which part of its time a filler may be early."""

SLICE = 0.001
"""Seconds of fillers after which the loop gets a turn."""

Fill = Callable[[], Coroutine[Any, Any, None] | None]
"""Sends a filler; returns what is to be awaited where that cannot be done at once."""


class Keepalive:
    """Calls `fill`, in `context`, whenever nothing was sent for `interval` seconds; the first time after one at most.

    Made on the loop of its stream. Data that is sent costs no timer: who sends it sets `last_sent`, and the next look
    finds that.
    """

    __slots__ = ("_clock", "_interval", "_made", "_rounds", "context", "fill", "last_sent", "look_at", "stopped")

    def __init__(self, interval: float, clock: Clock, context: Context, fill: Fill) -> None:
        self._interval, self._clock, self._made = interval, clock, clock.now()
        self.last_sent: float | None = None
        self.context, self.fill = context, fill
        self.stopped, self.look_at = False, 0.0
        loop, known = asyncio.get_running_loop(), register().rounds
        self._rounds = known.get(key := (id(loop), id(clock))) or known.setdefault(key, Rounds(loop, clock))
        self.look()

    def stop(self) -> None:
        """Never call `fill` again."""
        self.stopped = True
        self._rounds.leave(self)

    def look(self) -> bool:
        """Tell whether a filler is due, and wait for the next look."""
        now, since, patience = self._clock.now(), self.last_sent, self._interval
        if since is None:
            since, patience = self._made, min(FIRST_KEEPALIVE, self._interval)
        due = since + patience * (1 - EARLY) <= now
        if due:
            self.last_sent, since, patience = now, now, self._interval
        self._rounds.enter(self, since + patience, patience * EARLY)
        return due


class Rounds:
    """The silent streams of one event loop that live by one clock, in groups that are looked at together."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop, self._clock = loop, clock
        self._times: list[float] = []
        self._groups: dict[float, dict[Keepalive, None]] = {}
        self._timer: Timer | None = None
        self._filling: set[asyncio.Task[None]] = set()

    def enter(self, keepalive: Keepalive, time: float, early: float) -> None:
        """Have a stream looked at then, or that much too early."""
        before = bisect_right(self._times, time) - 1
        if before >= 0 and self._times[before] >= time - early:
            time = self._times[before]
        else:
            insort(self._times, time)
            self._groups[time] = {}
            self._arm()
        self._groups[time][keepalive] = None
        keepalive.look_at = time

    def leave(self, keepalive: Keepalive) -> None:
        """Look at a stream no more."""
        time = keepalive.look_at
        if group := self._groups.get(time):
            group.pop(keepalive, None)
            if not group:
                del self._groups[time]
                self._times.remove(time)
                self._arm()

    def _arm(self) -> None:
        """Set the timer to the first of all times."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._times:
            delay = max(0.0, self._times[0] - self._clock.now())
            # A timer keeps the Context in which it was set, and this one outlives the request that sets it.
            self._timer = Context().run(self._clock.call_later, self._loop, delay, self._look)

    def _look(self) -> None:
        self._go_on(list(self._groups.pop(self._times.pop(0))))
        self._arm()

    def _go_on(self, group: list[Keepalive]) -> None:
        """Serve the rest of a group in a task of its own, when the loop has its next turn."""
        if group:
            task = self._loop.create_task(self._fill(group.copy()))
            self._filling.add(task)
            task.add_done_callback(self._filling.discard)
            group.clear()

    async def _fill(self, group: list[Keepalive]) -> None:
        """Send what is due; the others need not wait for a client that takes its filler slowly."""
        until = perf_counter() + SLICE
        try:
            while group and perf_counter() < until:
                keepalive = group.pop()
                run = keepalive.context.run
                if not keepalive.stopped and keepalive.look() and (filling := run(keepalive.fill)) is not None:
                    await noting_waits(filling, partial(self._go_on, group), run)
        finally:
            self._go_on(group)
