"""What one event loop follows: a tail for each channel that somebody on it subscribes to, and one read for them all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from streamkit._engine.clock import Clock
from streamkit._engine.register import logger
from streamkit.channels._history import Page
from streamkit.channels._log import PAGE, Log
from streamkit.channels._position import Position
from streamkit.channels._tail import Cursor, Tail
from streamkit.channels._workers import Workers
from streamkit.errors import LogUnavailableError

if TYPE_CHECKING:
    from streamkit.channels._subscription import Subscription


class Hub:
    """The tails of one event loop.

    Attributes:
        waiting: Subscriptions that are being read, which perhaps nobody else holds: asyncio itself holds a task weakly.
    """

    def __init__(
        self, log: Log, readers: Workers, followers: Workers, clock: Clock, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.log = log
        self.clock = clock
        self.loop = loop
        self.tails: dict[str, Tail] = {}
        self.waiting: set[Subscription] = set()
        self._readers, self._followers = readers, followers
        self._down: set[str] = set()

    def tail(self, channel: str) -> Tail:
        """Return the tail of a channel; it begins to follow if it is new."""
        tail = self.tails.get(channel)
        if tail is None:
            tail = Tail(self, channel)
            try:
                self.log.watch(channel, tail.told)
            except BaseException:
                tail.stop()
                raise
            self.tails[channel] = tail
        return tail

    def leave(self, cursor: Cursor) -> None:
        """Let go of a cursor, and of its tail where it was the last."""
        cursor.tail.cursors.discard(cursor)
        if not cursor.tail.cursors:
            self.forget(cursor.tail)

    def forget(self, tail: Tail) -> None:
        """Let go of a tail, unless that was done before."""
        if self.tails.get(tail.channel) is tail:
            del self.tails[tail.channel]
            self._down.discard(tail.channel)
            tail.stop()

    def sweep(self) -> None:
        """Let go of the tails whose subscriptions were thrown away without a word."""
        for tail in list(self.tails.values()):
            if not tail.cursors:
                self.forget(tail)

    def end(self) -> None:
        """End all subscriptions of this loop."""
        for tail in list(self.tails.values()):
            for cursor in list(tail.cursors):
                cursor.end()

    async def read(self, channel: str, after: Position | None, count: int = PAGE) -> Page:
        """Return the page after a position, read where that blocks no event loop.

        Raises:
            LogUnavailableError: The log does not answer.
        """
        return await self._read(self._readers, channel, after, count)

    async def follow(self, channel: str, after: Position | None, count: int) -> Page:
        """Do the same for a tail, which must not wait for all who read for themselves.

        The sooner it is at the end, the fewer of them there are.

        Raises:
            LogUnavailableError: The log does not answer.
        """
        return await self._read(self._followers, channel, after, count)

    async def _read(self, workers: Workers, channel: str, after: Position | None, count: int) -> Page:
        if self.log.blocking:
            page = await workers.run(lambda: self.log.page(channel, after, count))
        else:
            page = self.log.page(channel, after, count)
            await asyncio.sleep(0)  # a replay of thousands must not keep the others waiting
        if channel in self._down:
            self._answers(channel)
        return page

    def is_down(self, channel: str, error: LogUnavailableError) -> None:
        """Say once that subscribers wait, for whichever channels."""
        if not self._down:
            logger.warning("Subscribers wait for a log that is down: %s", error)
        self._down.add(channel)

    def _answers(self, channel: str) -> None:
        self._down.discard(channel)
        if not self._down:
            logger.warning("The log is back")
