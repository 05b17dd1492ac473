"""The end of the process, for the detached streams that run in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

import streamkit
from streamkit._engine.register import register
from streamkit.channels import Detached, MemoryLog
from tests.channels.streams import LOST, Fed, clocked, read
from tests.engine.fake_clock import settle


def test_close_lets_producers_finish_within_the_grace() -> None:
    """And records the others as lost; their sources are closed."""

    async def main() -> None:
        clock, log = clocked()
        detached, quick, slow = Detached(log, grace=5, clock=clock), Fed(), Fed()
        await detached.start("quick", quick.items())
        await detached.start("slow", slow.items())
        closing = asyncio.create_task(detached.close())
        await clock.advance(3)
        quick.pipe.put("a")
        quick.pipe.close()
        await clock.advance(1.9)
        assert not closing.done()
        await clock.advance(0.2)
        await closing
        assert slow.closed.is_set()
        assert await read(detached, "quick") == [(None, "a"), ("done", "")]
        assert await read(detached, "slow") == [LOST]
        await settle()
        assert clock.pending == []

    asyncio.run(main())


def test_close_waits_for_no_cleanup_for_ever() -> None:
    """A source that hangs in its `finally` is recorded as lost all the same."""
    released = asyncio.Event()

    async def hanging() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.sleep(3600)
        finally:
            await released.wait()

    async def main() -> None:
        clock, log = clocked()
        detached = Detached(log, grace=5, clock=clock)
        await detached.start("k", hanging())
        closing = asyncio.create_task(detached.close())
        await clock.advance(6.1)
        await closing
        assert log.page("detached:k", None, 0).sealed
        assert await read(detached, "k") == [(None, "a"), LOST]
        released.set()
        await settle()
        assert detached._running.here() == {}

    asyncio.run(main())


def test_source_that_takes_no_cancel_writes_nothing_behind_its_grace() -> None:
    """It is ended at its next item, which nobody gets."""

    async def stubborn() -> AsyncIterator[str]:
        yield "a"
        for _ in range(3):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            yield "still here"

    async def main() -> None:
        clock, log = clocked()
        detached = Detached(log, grace=5, clock=clock)
        await detached.start("k", stubborn())
        closing = asyncio.create_task(detached.close())
        await clock.advance(6.2)
        await closing
        assert await read(detached, "k") == [(None, "a"), LOST]

    asyncio.run(main())


def test_close_gives_up_on_a_log_that_is_down(caplog: pytest.LogCaptureFixture) -> None:
    """A server that is told to stop stops."""

    async def main() -> None:
        clock, log = clocked()
        detached, fed = Detached(log, grace=5, clock=clock), Fed()
        await detached.start("k", fed.items())
        await settle()
        log.down = True
        closing = asyncio.create_task(detached.close())
        await clock.advance(6.1)
        await closing

    asyncio.run(main())
    assert "was not recorded, and is found by its lease" in caplog.text


def test_close_of_an_async_app_waits_for_what_sync_code_started() -> None:
    """Its producers run on another loop."""
    detached, fed = Detached(MemoryLog(), grace=5), Fed()
    detached.start_sync("k", fed.items())
    fed.pipe.put("a")

    async def main() -> None:
        closing = asyncio.create_task(detached.close())
        await asyncio.sleep(0)
        assert not closing.done()
        fed.pipe.close()
        await asyncio.wait_for(closing, 5)

    asyncio.run(main())
    assert asyncio.run(read(detached, "k")) == [(None, "a"), ("done", "")]


def test_end_of_the_loop_is_recorded_as_lost() -> None:
    """As where `asyncio.run` returns: also for a source that has not had its first step."""
    detached = Detached(MemoryLog())
    asyncio.run(detached.start("k", Fed().items()))
    assert detached.status_sync("k").state == "lost"
    assert detached._running.here() == {}


def test_shutdown_of_a_server_drains_producers() -> None:
    """The signal that ends the streams gives them their grace, also one that is started after it."""

    async def main() -> None:
        clock, log = clocked()
        detached = Detached(log, grace=5, clock=clock)
        register().leaving = True
        try:
            await detached.start("k", Fed().items())
            await clock.advance(5.1)
            assert (await detached.status("k")).state == "lost"
        finally:
            register().leaving = False

    asyncio.run(main())


def test_lease_is_shortened_to_the_grace_when_the_process_is_told_to_leave() -> None:
    """So that one which is gone before it can record anything is found to be lost all the same."""

    async def main() -> None:
        clock, log = clocked()
        detached, fed = Detached(log, lease=600, grace=5, clock=clock), Fed()
        await detached.start("k", fed.items())
        await clock.advance(1)
        streamkit.drain()
        await settle()
        assert log._stores.here().leases["detached:k"][1] == clock.now() + 6
        await clock.advance(4)
        fed.pipe.close()
        assert await read(detached, "k") == [("done", "")]

    asyncio.run(main())
