"""Notice that streams on an event loop have been silent for long enough. Never touches a source.

All streams of a loop share one timer. A filler is never late, but may come by a sixteenth of its time too early,
together with others: so thousands of silent streams are served in a few turns of the loop, in place of one each.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right, insort
from collections.abc import Generator
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


class Keepalive:
    """What sends for one stream: on its loop `fill` is called, in `context`, after `interval` seconds of silence.

    Data that is sent costs no timer: who sends it sets `last_sent`, and the next look finds that.
    """

    __slots__ = ("_interval", "_rounds", "_since", "clock", "context", "last_sent", "look_at")

    def __init__(self, interval: float | None, clock: Clock, context: Context) -> None:
        self._interval, self.clock, self.context = interval, clock, context
        self.last_sent: float | None = None
        self.look_at = self._since = 0.0
        self._rounds: Rounds | None = None

    def fill(self) -> Generator[Any, Any, None] | None:
        """Send a filler; return what is to be stepped on where that could not be done at once."""
        raise NotImplementedError

    def start_fillers(self) -> None:
        """Begin, on the running loop, unless `stop_fillers` was called; the first filler comes after a second at most.

        Without an interval there are none.
        """
        if self._interval is not None:
            loop, known, clock = asyncio.get_running_loop(), register().rounds, self.clock
            self._since, key = clock.now(), (id(loop), id(clock))
            self._rounds = known.get(key) or known.setdefault(key, Rounds(loop, clock))
            self.is_due()

    def stop_fillers(self) -> None:
        """Never call `fill` again."""
        self._interval = None
        if self._rounds is not None:
            self._rounds.leave(self)
            self._rounds = None

    def is_due(self) -> bool:
        """Tell whether a filler is to be sent now, and wait for the next look."""
        if self._interval is None or self._rounds is None:
            return False
        now, since, patience = self.clock.now(), self.last_sent, self._interval
        if since is None:
            since, patience = self._since, min(FIRST_KEEPALIVE, patience)
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
        # From the end, as they are taken: one that enters again before another would have a group for itself.
        self._go_on(list(reversed(self._groups.pop(self._times.pop(0)))))
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
                if keepalive.is_due() and (filling := run(keepalive.fill)) is not None:
                    await noting_waits(filling, partial(self._go_on, group), run)
        finally:
            self._go_on(group)
