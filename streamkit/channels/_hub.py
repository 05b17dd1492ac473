"""What one event loop follows: a tail for each channel that somebody on it subscribes to, and one read for them all.

A tail stands behind the last entry that it has seen and passes on what follows it. Whatever does not follow, and every
hint that something may have been missed, has it read the log; where the log says that there is a gap, each of its
cursors goes back to reading by itself, since each has its own way to deal with one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakSet

from streamkit._engine.clock import Clock
from streamkit._engine.handoff import call_threadsafe, wait_in_loop
from streamkit._engine.register import logger
from streamkit._engine.threads import running_loop
from streamkit.channels._entry import Entry
from streamkit.channels._history import Page
from streamkit.channels._log import PAGE, Log
from streamkit.channels._position import Position
from streamkit.errors import LogUnavailableError

Call = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Makes a call of the log where it blocks no event loop."""

RETRY = (0.1, 2.0)
"""Seconds until a log that is down is asked again: the first time, and at most."""


class Cursor:
    """One subscription's place in one channel.

    Attributes:
        position: Behind the last entry that was taken or read; None until there is one.
        live: Whether the tail passes entries on.
    """

    __slots__ = ("__weakref__", "live", "position", "tail")

    def __init__(self, tail: Tail) -> None:
        self.tail = tail
        self.position: Position | None = None
        self.live = False

    def take(self, entry: Entry, last: Position) -> None:
        """Take the entry after `last` from the tail; go back to reading where it does not follow."""
        position = self.position
        if position is last or (position is not None and entry.follows(position)):
            self.position = entry.position
            self.put(entry)
        elif position is None or entry.position > position:  # else it was read from the log before it was told
            self.resync()

    def put(self, entry: Entry) -> None:
        """Have the subscription send an entry."""
        raise NotImplementedError

    def resync(self) -> None:
        """Go back to reading the log."""
        self.live = False

    def sealed(self) -> None:
        """Take note that the tail has seen the last entry there will ever be."""
        raise NotImplementedError

    def end(self) -> None:
        """End the whole subscription."""
        raise NotImplementedError


class Tail:
    """The end of one channel as one event loop knows it.

    Attributes:
        cursors: Of all subscriptions to the channel; those that are live are given each entry.
        last: Behind the last entry that it has seen.
        sealed: Whether that is the last there will ever be.
        ready: Done when `last` is known.
    """

    def __init__(self, hub: Hub, channel: str) -> None:
        self.channel = channel
        self.cursors: WeakSet[Cursor] = WeakSet()
        self.last: Position | None = None
        self.sealed = False
        self.ready: asyncio.Future[None] = hub.loop.create_future()
        self._hub = hub
        self._again = False
        self._task: asyncio.Task[None] | None = None

    def told(self, entries: list[Entry] | None) -> None:
        """Take what the log tells; from any thread."""
        if running_loop() is self._hub.loop:
            self.take(entries)
        elif self._hub.loop.is_closed():
            self.stop()
        else:
            call_threadsafe(self._hub.loop, lambda: self.take(entries))

    def take(self, entries: list[Entry] | None) -> None:
        """Pass entries on, or read the log."""
        if not all(self._pass(entry) for entry in entries or ()) or entries is None:
            self.look()

    def _pass(self, entry: Entry) -> bool:
        """Pass one entry on; False where the log has to be read first."""
        if self.last is None or entry.position <= self.last:
            return self.last is not None
        if not entry.follows(self.last):
            return False
        last, self.last, self.sealed = self.last, entry.position, entry.sealed
        for cursor in list(self.cursors):
            if cursor.live:
                cursor.take(entry, last)
            if entry.sealed:
                cursor.sealed()
        return True

    def look(self) -> None:
        """Read the log, once more where it is being read."""
        self._again = True
        if self._task is None:
            self._task = self._hub.loop.create_task(self._catch_up())

    async def _catch_up(self) -> None:
        try:
            while self._again:
                self._again = False
                last = self.last
                page = await self._hub.read(self.channel, last, 0 if last is None else PAGE)
                if last is None or page.gap is not None:
                    self._jump(page)
                elif not all(self._pass(entry) for entry in page.entries) or (page.entries and self.last != page.head):
                    self._again = True
        finally:
            self._task = None

    def _jump(self, page: Page) -> None:
        """Go on from the head; whoever was live has missed something, and finds out what."""
        self.last, self.sealed = page.head, page.sealed
        for cursor in list(self.cursors):
            if cursor.live:
                cursor.resync()
        if not self.ready.done():
            self.ready.set_result(None)

    async def ready_now(self) -> Position:
        """Wait until `last` is known, and return it."""
        await asyncio.shield(self.ready)
        assert self.last is not None  # noqa: S101 - it is what `ready` says
        return self.last

    def stop(self) -> None:
        """Follow the channel no more."""
        self._hub.log.unwatch(self.channel, self.told)
        if self._task is not None and not self._hub.loop.is_closed():
            self._task.cancel()


class Hub:
    """The tails of one event loop."""

    def __init__(self, log: Log, call: Call, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self.log = log
        self.loop = loop
        self.tails: dict[str, Tail] = {}
        self._call = call
        self._clock = clock
        self._down = False

    def join(self, channel: str) -> Tail:
        """Return the tail of a channel; it begins to follow if it is new."""
        tail = self.tails.get(channel)
        if tail is None:
            tail = self.tails[channel] = Tail(self, channel)
            self.log.watch(channel, tail.told)
        return tail

    def leave(self, cursor: Cursor) -> None:
        """Let go of a cursor, and of its tail where it was the last."""
        tail = cursor.tail
        tail.cursors.discard(cursor)
        if not tail.cursors and self.tails.get(tail.channel) is tail:
            del self.tails[tail.channel]
            tail.stop()

    def end(self) -> None:
        """End all subscriptions of this loop."""
        for tail in list(self.tails.values()):
            for cursor in list(tail.cursors):
                cursor.end()

    async def read(self, channel: str, after: Position | None, count: int = PAGE) -> Page:
        """Return the page after a position, waiting for as long as the log is down."""
        delay, most = RETRY
        while True:
            try:
                page: Page = await self._call(lambda: self.log.page(channel, after, count))
            except LogUnavailableError as exc:
                if not self._down:
                    logger.warning("Subscribers wait for a log that is down: %s", exc)
                self._down = True
            else:
                if self._down:
                    logger.warning("The log is back")
                self._down = False
                return page
            await wait_in_loop(lambda _: True, delay, self._clock)
            delay = min(2 * delay, most)
