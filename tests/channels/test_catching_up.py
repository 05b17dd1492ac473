"""How readers that are behind come to be live again: what that costs the log, and in which order they are served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streamkit.channels import Channels, MemoryLog
from streamkit.channels._workers import MOST
from tests.channels.subscribed import TroubledLog, WaitingLog, opened, publish, take


def test_busy_channel_keeps_no_other_waiting() -> None:
    """A reader that is far behind in one channel gets what is in another as well, long before it has caught up."""

    async def read() -> None:
        channels = Channels(MemoryLog())
        await publish(channels, "busy", *range(1000))
        await publish(channels, "quiet", "here")
        events = await take(channels.subscribe("busy", "quiet", start="oldest"), 300)
        assert "here" in [event.data for event in events]

    asyncio.run(read())


def test_readers_that_come_back_cost_the_log_one_look_each() -> None:
    """What one reader of the process had lately, those that come back have from memory, once the log knows them."""

    async def read() -> None:
        log = TroubledLog()
        channels = Channels(log)
        _ahead = await opened(channels, "a")
        ids = await publish(channels, "a", *range(500))
        before = log.reads
        for _ in range(10):
            back = channels.subscribe("a", after=ids[0])
            assert [event.data for event in await take(back, 499)] == [*range(1, 500)]
            await back.aclose()
        assert log.reads - before == 10

    asyncio.run(read())


def test_tail_does_not_wait_for_the_readers() -> None:
    """However many readers wait for a slow log, their tail is served beside them: it is what makes them live."""

    async def read() -> None:
        log = WaitingLog()
        channels = Channels(log)
        (first, *_) = await publish(channels, "a", *range(10))
        ahead = await opened(channels, "a")
        log.gate.clear()
        before = log.waiting
        readers = [asyncio.ensure_future(take(channels.subscribe("a", after=first), 9)) for _ in range(3 * MOST)]
        await _until(lambda: log.waiting == before + MOST)
        log._tell("a", None)
        await _until(lambda: log.waiting == before + MOST + 1)
        log.gate.set()
        for events in await asyncio.gather(*readers):
            assert [event.data for event in events] == [*range(1, 10)]
        await ahead.aclose()

    asyncio.run(read())


async def _until(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(4):
        while not ready():  # noqa: ASYNC110 - it is threads that are waited for
            await asyncio.sleep(0.01)
