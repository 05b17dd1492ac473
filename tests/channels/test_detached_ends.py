"""A producer that is lost, or taken for lost, on a clock that the test owns."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamkit.channels import Detached
from streamkit.errors import UnknownStreamError
from tests.channels.streams import LOST, Fed, FlakyLog, Pair, Read, clocked, read, reading
from tests.engine.fake_clock import settle

CHANNEL = "detached:k"


def owner_of(log: FlakyLog) -> str:
    """Return who has the lease of the stream."""
    owner = log.lease(CHANNEL)
    assert owner is not None
    return owner


def test_lease_is_renewed_while_the_source_is_silent() -> None:
    """For ten leases; no reader takes it for lost."""

    async def main() -> Read:
        pair, fed, got = Pair(), Fed(), list[Any]()
        await pair.producing.start("k", fed.items())
        reader = asyncio.create_task(reading(pair.reading, "k", got))
        await pair.clock.advance(150)
        assert (await pair.reading.status("k")).state == "running"
        fed.pipe.put("a")
        fed.pipe.close()
        await reader
        return got

    assert asyncio.run(main()) == [(None, "a"), ("done", "")]


def test_lost_producer_is_told_to_its_readers() -> None:
    """A lease after it was last heard of, and a third of one; the source's items were all told before."""

    async def main() -> Read:
        clock, log = clocked()
        detached, got = Detached(log, lease=15, clock=clock), list[Any]()
        log.hold(CHANNEL, "a process that dies", 15)
        log.append(CHANNEL, b"tstarted\n", first=True)
        log.append(CHANNEL, b"t\na")
        reader = asyncio.create_task(reading(detached, "k", got))
        await clock.advance(14.9)
        assert got == [(None, "a")]
        await clock.advance(5.2)
        await reader
        return got

    assert asyncio.run(main()) == [(None, "a"), LOST]


def test_lost_producer_is_found_by_whoever_asks() -> None:
    """Without a reader; the end is then a record, which 204 can be answered to."""

    async def main() -> None:
        clock, log = clocked()
        detached = Detached(log, lease=15, clock=clock)
        log.hold(CHANNEL, "a process that dies", 15)
        log.append(CHANNEL, b"tstarted\n", first=True)
        assert (await detached.status("k")).state == "running"
        await clock.advance(15.1)
        assert (await detached.status("k")).state == "lost"
        events = [event async for event in detached.attach("k")]
        assert (events[0].event, events[0].data) == LOST
        assert (await detached.status("k", events[0].id)).code == 204
        assert not await detached.start("k", [])

    asyncio.run(main())


def test_many_readers_ask_as_one_and_only_in_silence() -> None:
    """Nobody asks while items come; then once a third of a lease for all of a key."""

    async def main() -> None:
        pair, fed, got = Pair(), Fed(), list[Any]()
        await pair.producing.start("k", fed.items())
        readers = [asyncio.create_task(reading(pair.reading, "k", got)) for _ in range(100)]
        await settle()
        pair.log.calls.clear()
        for _ in range(10):
            fed.pipe.put("a")
            await pair.clock.advance(10)
        await pair.clock.advance(4)
        assert "exists" not in pair.log.calls
        await pair.clock.advance(15)
        assert pair.log.calls.count("exists") == 3
        fed.pipe.close()
        await asyncio.gather(*readers)
        assert len(got) == 1100

    asyncio.run(main())


def test_producer_that_was_taken_for_lost_writes_nothing_more() -> None:
    """As after a pause longer than its lease: its source is stopped, whether it gives an item or not."""

    async def main() -> None:
        for gives in (True, False):
            clock, log = clocked()
            detached, fed = Detached(log, lease=15, clock=clock), Fed()
            await detached.start("k", fed.items())
            await settle()
            log._watchers.here().clear()  # nobody is told
            log.release(CHANNEL, owner_of(log))
            other = Detached(log, clock=clock)
            assert (await other.status("k")).state == "lost"
            if gives:
                fed.pipe.put("too late")
                await settle()
            else:
                await clock.advance(5.1)
            assert fed.closed.is_set()
            assert await read(other, "k") == [LOST]
            assert log.lease(CHANNEL) is None

    asyncio.run(main())


def test_start_whose_reply_was_lost_is_found_as_lost_at_once() -> None:
    """Nobody waits a lease for a producer that never was."""

    async def main() -> None:
        clock, log = clocked()
        detached = Detached(log, clock=clock)
        log.silent = 1
        with pytest.raises(ConnectionError):
            await detached.start("k", [])
        assert not await detached.start("k", [])
        assert await read(detached, "k") == [LOST]

    asyncio.run(main())


def test_reader_waits_for_a_stream_that_is_just_being_started() -> None:
    """Between the lease and the first entry."""

    async def main() -> Read:
        clock, log = clocked()
        detached = Detached(log, lease=15, clock=clock)
        log.hold(CHANNEL, "another", 15)
        assert (await detached.status("k")).state == "running"
        reader = asyncio.create_task(read(detached, "k"))
        await clock.advance(1)
        assert not log.exists(CHANNEL)
        log.append(CHANNEL, b"tstarted\n", first=True)
        log.append(CHANNEL, b"t\na")
        await clock.advance(20.2)
        return await reader

    assert asyncio.run(main()) == [(None, "a"), LOST]


def test_stream_that_never_began_is_unknown_to_who_waits_for_it() -> None:
    """Its starter died in that moment."""

    async def main() -> None:
        clock, log = clocked()
        detached = Detached(log, lease=15, clock=clock)
        log.hold(CHANNEL, "another", 15)
        reader = asyncio.create_task(read(detached, "k"))
        await clock.advance(15.2)
        with pytest.raises(UnknownStreamError):
            await reader
        assert not log.exists(CHANNEL)

    asyncio.run(main())


def test_lease_that_has_run_out_is_given_back_all_the_same() -> None:
    """Else the memory of a log would keep it for ever."""
    clock, log = clocked()
    log.hold("k", "somebody", 1)
    clock._now += 2
    log.release("k", "somebody")
    assert log._stores.here().leases == {}
