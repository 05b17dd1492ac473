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
from math import inf
from time import perf_counter
from typing import Any

from streamkit._engine.clock import Clock, Timer
from streamkit._engine.delivery import DONE, noting_waits
from streamkit._engine.register import register
from streamkit._engine.stream import FIRST_KEEPALIVE

EARLY = 1 / 16
"""By which part of its time a filler may be early."""

SLICE = 0.001
"""Seconds of fillers after which the loop gets a turn."""


class Keepalive:
    """What sends for one stream: a filler on its loop, in `context`, after `interval` seconds of silence.

    Data that is sent costs no timer: who sends it sets `last_sent`, and the next look finds that.
    """

    __slots__ = ("_interval", "_rounds", "_since", "clock", "context", "last_sent", "look_at")

    def __init__(self, interval: float | None, clock: Clock, context: Context) -> None:
        self._interval, self.clock, self.context = interval, clock, context
        self.last_sent: float | None = None
        self.look_at = self._since = 0.0
        self._rounds: Rounds | None = None

    def filling(self, begun: float) -> Generator[Any, Any, None] | None:
        """Return what sends a filler when it is stepped in `context`; None where there is nothing to step.

        Args:
            begun: What `perf_counter` says.
        """
        raise NotImplementedError

    def whole(self, running: Any, stepped: tuple[Any]) -> Any:
        """Return what goes on with it once it has awaited `stepped[0]`."""
        raise NotImplementedError

    def start_fillers(self) -> None:
        """Begin, on the running loop, unless `stop_fillers` was called; the first filler comes after a second at most.

        Without an interval there are none.
        """
        if self._interval is not None:
            loop, known, clock = asyncio.get_running_loop(), register().rounds, self.clock
            self._since, key = clock.now(), (id(loop), id(clock))
            self._rounds = known.get(key) or known.setdefault(key, Rounds(loop, clock))
            self.is_due(self._since)

    def stop_fillers(self) -> None:
        """Never ask for one again."""
        self._interval = None
        if self._rounds is not None:
            self._rounds.leave(self)
            self._rounds = None

    def is_due(self, now: float) -> bool:
        """Tell whether a filler is to be sent `now`, and wait for the next look."""
        if self._interval is None or self._rounds is None:
            return False
        since, patience = self.last_sent, self._interval
        if since is None:
            since, patience = self._since, min(FIRST_KEEPALIVE, patience)
        if due := since + patience * (1 - EARLY) <= now:
            self.last_sent, since, patience = now, now, self._interval
        self._rounds.enter(self, since + patience, patience * EARLY)
        return due


_Group = dict[Keepalive, None]

_NONE: tuple[float, _Group] = inf, {}
"""No group: at no time."""


class Rounds:
    """The silent streams of one event loop that live by one clock, in groups that are looked at together."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop, self._clock = loop, clock
        self._times: list[float] = []
        self._groups: dict[float, _Group] = {}
        self._latest = _NONE  # the group entered last: most that follow enter the same
        self._timer: Timer | None = None
        self._filling: set[asyncio.Task[None]] = set()

    def enter(self, keepalive: Keepalive, time: float, early: float) -> None:
        """Have a stream looked at then, or that much too early."""
        at, group = self._latest
        if not time - early <= at <= time:
            at, group = self._latest = self._group(time, early)
        group[keepalive] = None
        keepalive.look_at = at

    def _group(self, time: float, early: float) -> tuple[float, _Group]:
        """Return what is looked at then, or that much too early, and when."""
        before = bisect_right(self._times, time) - 1
        if before >= 0 and self._times[before] >= time - early:
            time = self._times[before]
        else:
            insort(self._times, time)
            self._groups[time] = {}
            self._arm()
        return time, self._groups[time]

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
        """Set the timer to the first of all times, which have changed."""
        self._latest = _NONE
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
        now, begun = self._clock.now(), perf_counter()
        until = begun + SLICE
        try:
            while group and begun < until:
                keepalive = group.pop()
                if keepalive.is_due(now) and (filling := keepalive.filling(begun)) is not None:
                    run = keepalive.context.run
                    if (awaited := run(next, filling, DONE)) is not DONE:
                        await noting_waits(keepalive.whole(filling, (awaited,)), partial(self._go_on, group), run)
                begun = perf_counter()
        finally:
            self._go_on(group)
