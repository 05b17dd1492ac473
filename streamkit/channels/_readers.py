"""Read a detached stream, from its first item or after an id, to the end that is recorded for it.

Of a producer that was lost nobody tells, so its readers ask: one for all of a stream on an event loop, and only when
nothing has come for the time of a lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from streamkit._engine.clock import Clock
from streamkit._engine.handoff import wait_in_loop
from streamkit._engine.threads import PerProcess
from streamkit.channels._channels import Channels
from streamkit.channels._records import Opening, Records
from streamkit.channels._workers import Calls
from streamkit.errors import LogUnavailableError, UnknownStreamError
from streamkit.sse import Event

PAUSE = 0.1
"""Seconds until a stream that is just being started, or a log that is down, is looked at again."""


class Watch:
    """What the readers of one stream on one event loop have in common.

    Attributes:
        readers: How many there are.
        heard: When the stream was last known to go on.
        is_unknown: Whether the log has forgotten the stream.
        task: Asks the log.
    """

    def __init__(self, now: float) -> None:
        self.readers = 0
        self.heard = now
        self.is_unknown = False
        self.task: asyncio.Task[None] | None = None


class Readers:
    """The readers of all detached streams of one log."""

    def __init__(self, channels: Channels, calls: Calls, records: Records, lease: float, clock: Clock) -> None:
        self._channels = channels
        self._calls = calls
        self._records = records
        self._lease = lease
        self._clock = clock
        self._watches: PerProcess[dict[tuple[asyncio.AbstractEventLoop, str], Watch]] = PerProcess(dict)

    async def read(self, key: str, channel: str, after: str | None) -> AsyncGenerator[Event, None]:
        """Yield what a stream has given and will give; see `Detached.attach`."""
        opening = await self._open(channel)
        if not opening.begun:
            raise UnknownStreamError(key)
        subscription = self._channels.subscribe(channel, after=after or opening.first, start="oldest")
        watch = self._join(channel)
        try:
            async for event in subscription:
                watch.heard = self._clock.now()
                if event.id != opening.started:
                    yield event
            if watch.is_unknown:
                raise UnknownStreamError(key)
        finally:
            self._leave(channel, watch)
            await subscription.aclose()

    async def _open(self, channel: str) -> Opening:
        """Return what is known of a stream, once it has begun."""
        while True:
            opening: Opening = await self._calls.run(lambda: self._records.opening(channel))
            if opening.begun or opening.state != "running":
                return opening
            await self._pause(PAUSE)  # somebody has the lease and is about to write the first entry

    def _join(self, channel: str) -> Watch:
        loop, watches = asyncio.get_running_loop(), self._watches.here()
        watch = watches.get((loop, channel))
        if watch is None:
            watch = watches[loop, channel] = Watch(self._clock.now())
            watch.task = loop.create_task(self._watch(channel, watch))
        watch.readers += 1
        return watch

    def _leave(self, channel: str, watch: Watch) -> None:
        watch.readers -= 1
        if not watch.readers and watch.task is not None:
            watch.task.cancel()
            watches, place = self._watches.here(), (watch.task.get_loop(), channel)
            if watches.get(place) is watch:
                del watches[place]

    async def _watch(self, channel: str, watch: Watch) -> None:
        """Ask, where nothing has come for a lease; an end that is recorded then comes to the readers as any other."""
        clock, lease = self._clock, self._lease
        while True:
            left = watch.heard + lease - clock.now()
            if left > 0:
                await self._pause(left)
                continue
            try:
                state, _ = await self._calls.run(lambda: self._records.look(channel))
            except LogUnavailableError:
                await self._until_back(channel)
                watch.heard = clock.now()  # the producer could not renew its lease, and needs a moment for it now
                continue
            if state == "unknown":
                watch.is_unknown = True
                self._channels._hubs.here().end(channel)
            watch.heard = max(watch.heard, clock.now() - lease * 2 / 3)  # to ask again as often as it is renewed

    async def _until_back(self, channel: str) -> None:
        while True:
            await self._pause(PAUSE)
            try:
                await self._calls.run(lambda: self._channels.log.exists(channel))
            except LogUnavailableError:
                continue
            return

    async def _pause(self, seconds: float) -> None:
        await wait_in_loop(lambda _: True, seconds, self._clock)
