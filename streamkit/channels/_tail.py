"""The end of one channel as one event loop knows it, and the places of those who follow it.

A tail stands behind the last entry that it has seen and passes on what follows it. Whatever does not follow, and every
hint that something may have been missed, has it read the log; where the log says that there is a gap, each of its
places goes back to reading by itself, since each has its own way to deal with one. A subscription that finds the log
down waits for the tail, which is the only one to ask again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from streamkit._engine.handoff import call_threadsafe, wait_in_loop
from streamkit._engine.source import as_error
from streamkit._engine.threads import new_lock, running_loop
from streamkit.channels._entry import Entry
from streamkit.channels._history import Page
from streamkit.channels._log import PAGE
from streamkit.channels._position import Position
from streamkit.errors import LogUnavailableError

if TYPE_CHECKING:
    from streamkit.channels._hub import Hub
    from streamkit.channels._place import Place

RETRY = (0.1, 2.0)
"""Seconds until a log that is down is asked again: the first time, and at most."""

RECENT_BYTES = 256 * 1024
"""What a tail remembers of the entries it has passed on."""


class Tail:
    """The end of one channel as one event loop knows it.

    Attributes:
        places: Of all subscriptions to the channel; those that are live are given each entry. Through here a reader
            that waits is held, too: asyncio itself holds a task weakly.
        last: Behind the last entry that it has seen; None until the log has told.
        sealed: Whether that is the last there will ever be.
    """

    def __init__(self, hub: Hub, channel: str) -> None:
        self.channel = channel
        self.places: set[Place] = set()
        self.last: Position | None = None
        self.sealed: bool = False
        self._hub = hub
        self._recent: deque[Entry] = deque()  # without a hole, up to `last`
        self._recent_size = 0
        self._lock = new_lock()
        self._told: list[list[Entry] | None] = []  # by other threads, and not yet taken
        self._again = False
        self._down = False
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    # -- what the log tells --------------------------------------------------------------------------------------

    def told(self, entries: list[Entry] | None) -> None:
        """Take what the log tells; from any thread."""
        loop = self._hub.loop
        if loop.is_closed():
            self.stop()
            return
        if running_loop() is loop:
            self.take(entries)
            return
        with self._lock:
            self._told.append(entries)
            first = len(self._told) == 1
            if len(self._told) > PAGE:
                self._told[:] = [None]  # the loop is busy: what it does not keep it will read
        if first:
            call_threadsafe(loop, self._take_told)

    def _take_told(self) -> None:
        with self._lock:
            told, self._told = self._told, []
        for entries in told:
            self.take(entries)

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
        self._remember(entry)
        for place in list(self.places):
            if place.live:
                place.take(entry, last)
            if entry.sealed:
                place.feed.look()  # it may be over, also for one who has read the entry before it was told
        return True

    # -- what was passed on --------------------------------------------------------------------------------------

    def _remember(self, entry: Entry) -> None:
        self._recent.append(entry)
        self._recent_size += entry.size
        while self._recent_size > RECENT_BYTES:
            self._recent_size -= self._recent.popleft().size

    def after(self, position: Position, most: int) -> list[Entry] | None:
        """Return what comes next for a place that stands at `position`, up to the tail's own place.

        Without this, a reader of a busy channel would never be live: whenever it has read, there is more. And where
        many come back at once, or the log is slow, their reading would be what keeps it slow.

        Args:
            position: That the log has judged.
            most: Bytes; one entry is never too much.

        Returns:
            None where the log has to be read.
        """
        if self.last is None:
            return None
        if position >= self.last:
            return []  # of the rest that the tail will tell, the reader knows what it has read
        if not self._recent:
            return None
        index = position.offset + 1 - self._recent[0].position.offset
        if not 0 <= index < len(self._recent) or not self._recent[index].follows(position):
            return None
        missed: list[Entry] = []
        size = 0
        for entry in islice(self._recent, index, None):
            size += entry.size
            if missed and size > most:
                break
            missed.append(entry)
        return missed

    # -- reading the log -----------------------------------------------------------------------------------------

    def look(self) -> None:
        """Read the log, once more where it is being read."""
        self._again = True
        if self._task is None and not self._stopped:
            self._task = self._hub.loop.create_task(self._catch_up())

    def unreachable(self, error: LogUnavailableError) -> None:
        """Have the subscriptions look again when the log answers; for one that it has not answered."""
        self._hub.is_down(self.channel, error)
        self._down = True
        self.look()

    async def _catch_up(self) -> None:
        try:
            await self._read()
        except (Exception, asyncio.CancelledError) as exc:
            if not self._stopped:
                self._fail(as_error(exc))
            if isinstance(exc, asyncio.CancelledError):
                raise
        finally:
            self._task = None

    async def _read(self) -> None:
        delay, most = RETRY
        while self._again:
            if self._down:
                await wait_in_loop(lambda _: True, delay, self._hub.clock)
                delay = min(2 * delay, most)
            self._again, last = False, self.last
            try:
                page = await self._hub.follow(self.channel, last, 0 if last is None else PAGE)
            except LogUnavailableError as exc:
                self._hub.is_down(self.channel, exc)
                self._down = self._again = True
                continue
            self._down, delay = False, RETRY[0]
            self._take_page(page, last)

    def _take_page(self, page: Page, after: Position | None) -> None:
        if after is None or page.gap is not None:
            self._jump(page)
        elif not all(self._pass(entry) for entry in page.entries) or (
            page.entries and self.last is not None and self.last < page.head
        ):
            self._again = True
        for place in list(self.places):
            if not place.live:
                place.feed.look()

    def _jump(self, page: Page) -> None:
        """Go on from the head; whoever was live has missed something, and finds out what."""
        self.last, self.sealed = page.head, page.sealed
        self._recent.clear()
        self._recent_size = 0
        for place in list(self.places):
            if place.live:
                place.detach()

    # -- the end -------------------------------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        """End all who follow the channel: nothing would reach them any more. Whoever comes next begins anew."""
        self._hub.forget(self)
        for place in list(self.places):
            place.feed.fail(error)

    def stop(self) -> None:
        """Follow the channel no more."""
        self._stopped = True
        self._hub.log.unwatch(self.channel, self.told)
        if self._task is not None and not self._hub.loop.is_closed():
            self._task.cancel()
