"""What may become of the log while a detached stream runs: it is full, down, or lost."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from streamkit.channels import Detached, MemoryLog, Status
from streamkit.errors import LogUnavailableError, UnknownStreamError
from tests.channels.streams import Fed, FlakyLog, Pair, Read, clocked, read, reading
from tests.engine.fake_clock import settle

CHANNEL = "detached:k"


def test_stream_longer_than_its_log_fails_with_a_clear_text(caplog: pytest.LogCaptureFixture) -> None:
    """And keeps what it has; the source is closed."""

    async def main() -> Read:
        clock, log = clocked(max_events=4)
        detached, fed = Detached(log, clock=clock), Fed()
        for letter in "abcd":
            fed.pipe.put(letter)
        await detached.start("k", fed.items())
        await settle()
        assert fed.closed.is_set()
        return await read(detached, "k")

    text = "The answer is longer than its log keeps: 4 entries of a channel."
    assert asyncio.run(main()) == [(None, "a"), (None, "b"), (None, "c"), ("failed", {"error": text})]
    assert len(caplog.records) == 1


def test_stream_that_waits_at_the_limit_goes_on_when_there_is_room() -> None:
    """A reader that is there loses nothing; one that comes later is told of what is gone."""

    async def main() -> None:
        clock, log = clocked(max_events=4, max_age=60.0)
        detached, fed, got = Detached(log, at_limit="wait", clock=clock), Fed(), list[Any]()
        await detached.start("k", fed.items())
        reader = asyncio.create_task(reading(detached, "k", got))
        for letter in "abcdef":
            fed.pipe.put(letter)
        fed.pipe.close()
        await clock.advance(59)
        assert got == [(None, letter) for letter in "abc"]
        assert (await detached.status("k")).state == "running"
        await clock.advance(3)
        await reader
        assert got == [*[(None, letter) for letter in "abcdef"], ("done", "")]
        late = await read(detached, "k")
        assert late[0][0] == "gap"
        assert late[0][1]["reason"] == "evicted"
        assert late[1:] == [(None, "d"), (None, "e"), (None, "f"), ("done", "")]

    asyncio.run(main())


def test_item_larger_than_the_log_fails_also_where_the_limit_is_waited_for() -> None:
    """No time makes room for it."""

    async def main() -> Read:
        clock, log = clocked(max_bytes=1000)
        detached = Detached(log, at_limit="wait", clock=clock)
        await detached.start("k", ["x" * 1000])
        return await asyncio.wait_for(read(detached, "k"), 5)

    text = "The answer is longer than its log keeps: 1000 bytes of a channel."
    assert asyncio.run(main()) == [("failed", {"error": text})]


def test_log_that_is_down_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """By the producer and its readers, for longer than a lease; nothing is lost, nothing comes twice."""

    async def main() -> Read:
        pair, fed, got = Pair(), Fed(), list[Any]()
        await pair.producing.start("k", fed.items())
        reader = asyncio.create_task(reading(pair.reading, "k", got))
        fed.pipe.put("a")
        await settle()
        pair.log.down = True
        fed.pipe.put("b")
        fed.pipe.put("c")
        await pair.clock.advance(40)
        assert got == [(None, "a")]
        pair.log.down = False
        await pair.clock.advance(0.6)
        assert got == [(None, "a"), (None, "b"), (None, "c")]
        await pair.clock.advance(60)
        fed.pipe.close()
        await reader
        return got

    assert asyncio.run(main())[-1] == ("done", "")
    texts = [record.getMessage() for record in caplog.records]
    assert sum("'k' waits for its log" in text for text in texts) == 1
    assert sum("its log is back" in text for text in texts) == 1


def test_producer_is_not_taken_for_lost_when_the_log_is_back() -> None:
    """Its lease has run out meanwhile: readers give it time to renew it, which it does within half a second."""

    async def main() -> None:
        pair, fed, got = Pair(), Fed(), list[Any]()
        await pair.producing.start("k", fed.items())
        reader = asyncio.create_task(reading(pair.reading, "k", got))
        await pair.clock.advance(10.4)
        fed.pipe.put("a")
        await settle()
        pair.log.down = True
        await pair.clock.advance(29.9)
        pair.log.down = False
        await pair.clock.advance(0.15)  # a lease and another after the item: the reader would ask now
        assert pair.log.lease(CHANNEL) is None
        await pair.clock.advance(0.5)
        assert pair.log.lease(CHANNEL) is not None
        fed.pipe.close()
        await reader
        assert got == [(None, "a"), ("done", "")]

    asyncio.run(main())


def test_end_is_recorded_when_the_log_is_back() -> None:
    """A finished answer is never taken for a lost one because the log was down in the last moment."""

    async def main() -> Read:
        pair, fed, got = Pair(), Fed(), list[Any]()
        await pair.producing.start("k", fed.items())
        reader = asyncio.create_task(reading(pair.reading, "k", got))
        await settle()
        pair.log.down = True
        fed.pipe.close()
        await pair.clock.advance(40)
        pair.log.down = False
        await pair.clock.advance(0.6)
        await reader
        return got

    assert asyncio.run(main()) == [("done", "")]


def test_item_whose_reply_was_lost_is_stored_once() -> None:
    """Also where the log is down when the producer tries again, and where two items are alike."""

    async def main() -> Read:
        pair, fed = Pair(), Fed()
        await pair.producing.start("k", fed.items())
        await settle()
        pair.log.silent = 1
        fed.pipe.put("a")
        fed.pipe.put("a")
        await settle()
        pair.log.down = True
        await pair.clock.advance(2)
        pair.log.down = False
        pair.log.silent = 1
        await pair.clock.advance(2)
        fed.pipe.close()
        return await read(pair.reading, "k")

    assert asyncio.run(main()) == [(None, "a"), (None, "a"), ("done", "")]


def wipe(log: FlakyLog) -> None:
    """Lose everything, as a server without a disk does when it is restarted."""
    log._stores.here().channels.clear()
    log._stores.here().leases.clear()


def test_log_that_was_lost_is_told_to_every_reader() -> None:
    """To one that is there, and to one that comes later and would take the rest for the whole."""

    async def main() -> None:
        pair, fed, got = Pair(), Fed(), list[Any]()
        await pair.producing.start("k", fed.items())
        reader = asyncio.create_task(reading(pair.reading, "k", got))
        fed.pipe.put("a")
        await settle()
        wipe(pair.log)
        fed.pipe.put("b")
        fed.pipe.close()
        await reader
        assert [kind for kind, _ in got] == [None, "gap", None, "done"]
        late = await read(pair.reading, "k")
        assert [kind for kind, _ in late] == ["gap", None, "done"]
        assert late[0][1]["reason"] == "reset"

    asyncio.run(main())


def test_reader_of_a_stream_that_is_gone_ends() -> None:
    """The log was lost, and the producer with it: its client is to ask anew."""

    async def main() -> None:
        clock, log = clocked()
        detached, got = Detached(log, lease=15, clock=clock), list[Any]()
        log.hold(CHANNEL, "a process that dies", 15)
        log.append(CHANNEL, b"tstarted\n", first=True)
        reader = asyncio.create_task(reading(detached, "k", got))
        await settle()
        wipe(log)
        await clock.advance(21)
        with pytest.raises(UnknownStreamError):
            await reader
        assert detached._readers._watches.here() == {}

    asyncio.run(main())


def test_source_is_closed_where_sync_code_cannot_start_it() -> None:
    """Nobody else has it any more."""
    log = FlakyLog()
    log.down = True
    source = (letter for letter in "ab")
    with pytest.raises(LogUnavailableError):
        Detached(log).start_sync("k", source)
    assert inspect.getgeneratorstate(source) == inspect.GEN_CLOSED


def test_channel_that_a_reader_has_made_is_no_stream() -> None:
    """As where the log was lost while somebody read: reading begins the channel anew, and empty."""
    log = MemoryLog()
    log.page(CHANNEL, None)
    assert log.exists(CHANNEL)
    assert Detached(log).status_sync("k") == Status("unknown", False)


def test_stream_whose_end_is_too_old_to_be_kept_is_unknown() -> None:
    """The channel is remembered for longer than its entries."""
    now = 1e9
    log = MemoryLog(max_age=10, now=lambda: now)
    detached = Detached(log)
    log.append(CHANNEL, b"tstarted\n", first=True)
    assert detached.cancel_sync("k")
    assert detached.status_sync("k").state == "cancelled"
    now += 15
    assert log.exists(CHANNEL)
    assert detached.status_sync("k") == Status("unknown", False)
