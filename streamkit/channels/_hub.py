"""What one event loop follows: a tail for each channel that somebody on it subscribes to, and one read for them all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from streamkit._engine.clock import Clock
from streamkit._engine.handoff import call_threadsafe
from streamkit._engine.register import logger
from streamkit._engine.threads import PerProcess, new_lock, running_loop
from streamkit.channels._history import Page
from streamkit.channels._log import PAGE, Log
from streamkit.channels._position import Position
from streamkit.channels._tail import Tail
from streamkit.channels._workers import Workers
from streamkit.errors import LogUnavailableError

if TYPE_CHECKING:
    from streamkit.channels._place import Place


class Hubs:
    """The hubs of one `Channels`, one for each event loop of this process; a fork begins with none.

    Attributes:
        readers: Threads for those who read a log that blocks.
        followers: The same for tails, which are not to wait for thousands of readers.
    """

    def __init__(self, log: Log, clock: Clock) -> None:
        self.log = log
        self.clock = clock
        self.readers, self.followers = Workers(), Workers()
        self._hubs: PerProcess[dict[asyncio.AbstractEventLoop, Hub]] = PerProcess(dict)
        self._locks = PerProcess(new_lock)

    def here(self) -> Hub:
        """Return the hub of the running loop."""
        loop, hubs = asyncio.get_running_loop(), self._hubs.here()
        with self._locks.here():
            for closed in [known for known in hubs if known.is_closed()]:
                del hubs[closed]
            if loop not in hubs:
                hubs[loop] = Hub(self, loop)
            return hubs[loop]

    def places(self, channel: str) -> int:
        """Return how many subscriptions of this process follow a channel."""
        tails = [hub.tails.get(channel) for hub in list(self._hubs.here().values()) if not hub.loop.is_closed()]
        return sum(len(tail.places) for tail in tails if tail is not None)

    def end(self) -> None:
        """End all subscriptions of this process; from any thread."""
        for hub in list(self._hubs.here().values()):
            if running_loop() is hub.loop:
                hub.end()
            else:
                call_threadsafe(hub.loop, hub.end)


class Hub:
    """The tails of one event loop.

    Attributes:
        tails: By channel.
    """

    def __init__(self, hubs: Hubs, loop: asyncio.AbstractEventLoop) -> None:
        self.log = hubs.log
        self.clock = hubs.clock
        self.loop = loop
        self.tails: dict[str, Tail] = {}
        self._readers, self._followers = hubs.readers, hubs.followers
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

    def leave(self, place: Place) -> None:
        """Let go of a place, and of its tail where it was the last."""
        place.tail.places.discard(place)
        if not place.tail.places:
            self.forget(place.tail)

    def forget(self, tail: Tail) -> None:
        """Let go of a tail, unless that was done before."""
        if self.tails.get(tail.channel) is tail:
            del self.tails[tail.channel]
            self._down.discard(tail.channel)
            tail.stop()

    def end(self, channel: str | None = None) -> None:
        """End all subscriptions of this loop, or all to one channel; they find the end behind what is queued."""
        for tail in [tail for name, tail in self.tails.items() if channel in (None, name)]:
            for place in list(tail.places):
                place.feed.end()

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
