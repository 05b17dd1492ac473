"""A detached stream in one process: who starts it, who reads it, and what it leaves behind."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from streamkit import Event, set_max_threads
from streamkit._engine.limit import CAP
from streamkit._engine.register import register
from streamkit.channels import Detached, MemoryLog, Status
from streamkit.errors import TooManyStreamsError
from tests.channels.streams import KINDS, Fed, FlakyLog, Read, read, reading, until
from tests.engine.fake_clock import settle


@KINDS
def test_reader_gets_every_item_and_how_it_ended(kind: str) -> None:
    """From the first on, also where it comes when all is over."""

    async def main() -> tuple[bool, Read, Status]:
        detached, fed = Detached(MemoryLog()), Fed()
        begun = await detached.start("k", fed.source(kind))
        fed.pipe.put("a")
        fed.pipe.put({"b": 1})
        fed.pipe.put(Event("c", event="letter"))
        fed.pipe.close()
        return begun, await read(detached, "k"), await detached.status("k")

    begun, got, status = asyncio.run(main())
    assert begun
    assert got == [(None, "a"), (None, {"b": 1}), ("letter", "c"), ("done", "")]
    assert status == Status("done", False)


@KINDS
def test_second_start_attaches_and_closes_its_source_unstarted(kind: str) -> None:
    """While the first runs, and when it has ended."""

    async def main() -> Read:
        detached, first, second, third = Detached(MemoryLog()), Fed(), Fed(), Fed()
        sources = [fed.source(kind) for fed in (first, second, third)]
        assert await detached.start("k", sources[0])
        assert not await detached.start("k", sources[1])
        first.pipe.put("first")
        first.pipe.close()
        got = await read(detached, "k")
        assert not await detached.start("k", sources[2])
        assert not second.begun
        assert not third.begun
        if kind == "sync":
            assert all(source.gi_frame is None for source in sources[1:])
            assert CAP.open == 0
        return got

    assert asyncio.run(main()) == [(None, "first"), ("done", "")]


def test_source_that_is_refused_is_closed() -> None:
    """By the key, by the number of threads, by a log that is down."""

    async def main() -> None:
        log = FlakyLog()
        detached, fed = Detached(log), Fed()
        set_max_threads(CAP.open + 1)
        try:
            source: Any = fed.items_sync()
            with pytest.raises(ValueError, match="key must have 1 to 246 bytes"):
                await detached.start("k" * 247, source)
            assert source.gi_frame is None
            log.down, source = True, fed.items_sync()
            with pytest.raises(ConnectionError, match="it is down"):
                await detached.start("k", source)
            assert source.gi_frame is None
            log.down = False
            await detached.start("k", fed.items_sync())
            source = Fed().items_sync()
            with pytest.raises(TooManyStreamsError):
                await detached.start("other", source)
            assert source.gi_frame is None
            assert (await detached.status("other")).state == "unknown"
            fed.pipe.close()
            await read(detached, "k")
        finally:
            set_max_threads(1000)

    asyncio.run(main())
    assert CAP.open == 0


def test_reader_gets_exactly_the_rest_after_its_id() -> None:
    """After each of the ids there are; the end's own leaves nothing."""

    async def main() -> None:
        detached = Detached(MemoryLog())
        await detached.start("k", iter("abc"))
        events = [event async for event in detached.attach("k")]
        for number, event in enumerate(events):
            rest = [other.data async for other in detached.attach("k", event.id)]
            assert rest == [other.data for other in events[number + 1 :]]
            assert await detached.status("k", event.id) == Status("done", event is events[-1])
        with_garbage = await read(detached, "k", "garbage")
        assert with_garbage[0][0] == "gap"
        assert with_garbage[1:] == [(None, "a"), (None, "b"), (None, "c"), ("done", "")]

    asyncio.run(main())


def test_status_says_what_to_answer() -> None:
    """404 for what is not there, 204 for who has seen the end, 200 otherwise."""
    assert [Status("unknown", False).code, Status("done", True).code, Status("lost", False).code] == [404, 204, 200]
    assert Status("running", False).code == 200


def test_leaving_reader_stops_nothing() -> None:
    """The producer goes on, and so do the other readers."""

    async def main() -> Read:
        detached, fed, first, second = Detached(MemoryLog()), Fed(), list[Any](), list[Any]()
        await detached.start("k", fed.items())
        readers = [asyncio.create_task(reading(detached, "k", into)) for into in (first, second)]
        fed.pipe.put("a")
        await until(lambda: len(first) == len(second) == 1)
        readers[0].cancel()
        await asyncio.wait(readers[:1])
        fed.pipe.put("b")
        fed.pipe.close()
        await readers[1]
        assert first == [(None, "a")]
        return second

    assert asyncio.run(main()) == [(None, "a"), (None, "b"), ("done", "")]


def test_source_may_use_the_types_of_the_ends_itself() -> None:
    """Its own `started` and `done` are items as any other; the end is the one that is recorded."""

    async def main() -> None:
        detached, fed = Detached(MemoryLog()), Fed()
        await detached.start("k", fed.items())
        got: Read = []
        reader = asyncio.create_task(reading(detached, "k", got))
        for kind in ("started", "done", "lost"):
            fed.pipe.put(Event("", event=kind))
        await until(lambda: len(got) == 3)
        assert (await detached.status("k")).state == "running"
        fed.pipe.close()
        await reader
        assert got == [("started", ""), ("done", ""), ("lost", ""), ("done", "")]
        assert await read(detached, "k") == got

    asyncio.run(main())


@KINDS
def test_sync_code_starts_and_asks(kind: str) -> None:
    """Without a loop of its own; on a running loop it is refused, with what to write instead."""
    detached, fed = Detached(MemoryLog()), Fed()
    assert detached.start_sync("k", fed.source(kind))
    assert detached.status_sync("k").state == "running"
    fed.pipe.put("a")
    fed.pipe.close()
    assert asyncio.run(read(detached, "k")) == [(None, "a"), ("done", "")]
    assert not detached.cancel_sync("k")

    async def on_a_loop() -> None:
        with pytest.raises(RuntimeError, match=r"start_sync\(\) would block .* await start"):
            detached.start_sync("k", [])
        with pytest.raises(RuntimeError, match="await status"):
            detached.status_sync("k")
        with pytest.raises(RuntimeError, match="await cancel"):
            detached.cancel_sync("k")

    asyncio.run(on_a_loop())


def test_caller_that_is_cancelled_has_started_it_all_the_same() -> None:
    """The client that left while the log was asked finds its answer when it comes back."""
    gate = threading.Event()

    class Slow(MemoryLog):
        blocking = True

        def hold(self, name: str, owner: str, seconds: float) -> bool:
            gate.wait(5)
            return super().hold(name, owner, seconds)

    async def main() -> Read:
        detached = Detached(Slow())
        starting = asyncio.create_task(detached.start("k", iter("ab")))
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        gate.set()
        await until(lambda: detached.log.exists("detached:k"))
        return await read(detached, "k")

    assert asyncio.run(main()) == [(None, "a"), (None, "b"), ("done", "")]


@KINDS
def test_ended_producers_and_readers_leave_nothing(kind: str) -> None:
    """No task, watcher, listener, lease or entry of a dict, however they ended."""
    log = MemoryLog()
    detached = Detached(log)
    listeners = len(register().listeners)

    async def main() -> None:
        for number in range(10):
            fed = Fed()
            await detached.start(f"k{number}", fed.source(kind))
            fed.pipe.put("a")
            reader = asyncio.create_task(read(detached, f"k{number}"))
            left = asyncio.create_task(read(detached, f"k{number}"))
            await settle()
            left.cancel()
            if number % 2:
                await detached.cancel(f"k{number}")
            fed.pipe.close()
            await reader
        await until(lambda: not detached._running.here())
        await settle()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    gc.collect()
    assert log._watched() == []
    assert log._stores.here().leases == {}
    assert len(register().listeners) == listeners
    assert detached._readers._watches.here() == {}
    assert CAP.open == 0
