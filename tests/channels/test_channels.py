"""Publishing, what is refused, who is counted, and processes with threads and several loops."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from streamkit import EncodeError, Event, EventStream, InvalidEventError
from streamkit.channels import Channels, MemoryLog
from streamkit.errors import LogUnavailableError
from tests.channels.subscribed import TroubledLog, WaitingLog, opened, publish, rest, take, told
from tests.engine.drive import run, until


class TestPublish:
    """One item for all who subscribe."""

    def test_payload_is_encoded_once_for_all_subscribers(self) -> None:
        """The encoder is called by the publisher alone, and a frame is written once."""
        calls = []

        def dumps(value: object) -> str:
            calls.append(value)
            return json.dumps(value)

        async def work() -> None:
            channels = Channels(MemoryLog(), dumps=dumps)
            readers = [await opened(channels, "a") for _ in range(20)]
            await channels.publish("a", {"n": 1})
            events = [(await take(reader, 1))[0] for reader in readers]
            assert calls == [{"n": 1}]
            assert len({id(event) for event in events}) == 1
            assert len({id(EventStream().encode(event)) for event in events}) == 1
            for reader in readers:
                await reader.aclose()

        run(work())

    def test_publish_returns_the_id_of_the_event(self) -> None:
        """A reader that begins behind it gets the next."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            first, second = await publish(channels, "a", 1, 2)
            assert [event.id for event in await take(channels.subscribe("a", start="oldest"), 2)] == [first, second]
            assert told(await take(channels.subscribe("a", after=first), 1)) == [2]

        run(work())

    def test_item_with_a_known_key_is_stored_once(self) -> None:
        """The id is that of the first."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            first = await channels.publish("a", 1, key="k")
            assert await channels.publish("a", 2, key="k") == first
            assert told(await take(channels.subscribe("a", start="oldest", caught_up=True), 2)) == [1, "caught-up"]

        run(work())

    def test_sync_code_publishes_and_asks(self) -> None:
        """The same without a loop."""
        channels = Channels(MemoryLog())
        first = channels.publish_sync("a", Event({"n": 1}, event="kind"))
        assert channels.position_sync("a") == first
        event = run(take(channels.subscribe("a", start="oldest"), 1))[0]
        assert (event.data, event.event, event.id) == ({"n": 1}, "kind", first)

    def test_sync_calls_on_a_running_loop_are_refused(self) -> None:
        """The error says what to await, and nothing is stored."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            with pytest.raises(RuntimeError, match=r"await publish\(…\) instead"):
                channels.publish_sync("a", 1)
            with pytest.raises(RuntimeError, match=r"await position\(…\) instead"):
                channels.position_sync("a")
            assert ".0." in await channels.position("a")
            await asyncio.to_thread(channels.publish_sync, "a", 1)
            assert ".1." in await channels.position("a")

        run(work())

    def test_publisher_without_a_pause_lets_its_readers_read(self) -> None:
        """Ten times what a reader may leave waiting arrives, since the publisher gives it turns."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            reader = await opened(channels, "a", buffer_size=2_000)
            reading = asyncio.create_task(take(reader, 200))
            await publish(channels, "a", *range(200))
            assert told(await reading) == list(range(200))
            await reader.aclose()

        run(work())

    def test_log_that_is_down_is_a_clear_error(self) -> None:
        """From the loop and from sync code."""
        for log in (TroubledLog(), WaitingLog()):
            channels = Channels(log)
            log.down = True
            with pytest.raises(LogUnavailableError, match="failed to append: it is down"):
                run(channels.publish("a", 1))
            with pytest.raises(LogUnavailableError, match="it is down"):
                channels.publish_sync("a", 1)
            with pytest.raises(LogUnavailableError, match="it is down"):
                run(channels.position("a"))

    def test_publisher_does_not_wait_for_readers_of_a_slow_log(self) -> None:
        """Reads may fill all their threads: publishing has its own."""

        async def work() -> None:
            log = WaitingLog()
            channels = Channels(log)
            log.gate.clear()
            readers = [channels.subscribe("a", after="x") for _ in range(20)]
            tasks = [asyncio.ensure_future(anext(reader)) for reader in readers]
            await until(lambda: log.waiting >= 4)
            async with asyncio.timeout(2):
                await channels.publish("a", 1)
            log.gate.set()
            await asyncio.gather(*tasks)
            for reader in readers:
                await reader.aclose()

        run(work())


Call = Callable[[Channels], Any]

BAD_CALLS: list[tuple[Call, type[Exception], str]] = [
    (lambda c: c.publish_sync("", 1), ValueError, "1 to 255 bytes in UTF-8, and this has 0: ''"),
    (lambda c: c.publish_sync("x" * 256, 1), ValueError, "and this has 256: 'xxx"),
    (lambda c: c.publish_sync("\ud800", 1), ValueError, r"lone surrogate; got '\ud800'"),
    (lambda c: c.publish_sync(b"a", 1), TypeError, "must be a str, not b'a'"),  # type: ignore[arg-type]
    (lambda c: c.publish_sync("a", b"x"), EncodeError, "decode it to str first"),
    (lambda c: c.publish_sync("a", Event("x", id=7)), InvalidEventError, "id is given by the log; got '7'"),
    (lambda c: c.publish_sync("a", Event("x", event="gap")), InvalidEventError, "got 'gap'"),
    (lambda c: c.publish_sync("a", 1, key=""), ValueError, "key must be a str of 1 to 255 characters, not ''"),
    (lambda c: c.publish_sync("a", 1, key="k" * 256), ValueError, "not 'kkk"),
    (lambda c: c.publish_sync("a", 1, key="\ud800"), ValueError, r"not '\ud800'"),
    (lambda c: c.publish_sync("a", 1, key=7), ValueError, "not 7"),  # type: ignore[arg-type]
    (lambda c: c.subscribe(), ValueError, "1 to 100 channels, not ()"),
    (lambda c: c.subscribe(*map(str, range(101))), ValueError, "1 to 100 channels, not ('0', '1'"),
    (lambda c: c.subscribe(["a"]), TypeError, "must be a str, not ['a']"),  # type: ignore[arg-type]
    (lambda c: c.subscribe("plumless", "buckeroo"), ValueError, "'plumless' and 'buckeroo' together"),
    (lambda c: c.subscribe("a", after=7), TypeError, "the id that a client gave, a str, or None; not 7"),  # type: ignore[arg-type]
    (lambda c: c.subscribe("a", start="now"), ValueError, "start must be 'live' or 'oldest', not 'now'"),  # type: ignore[arg-type]
    (lambda c: c.subscribe("a", overflow="wait"), ValueError, "'disconnect' or 'drop_oldest', not 'wait'"),  # type: ignore[arg-type]
    (lambda c: c.subscribe("a", on_gap="fail"), ValueError, "'live' or a function of a Gap, not 'fail'"),  # type: ignore[arg-type]
    (lambda c: c.subscribe("a", visible=True), TypeError, "a function of an Event, not True"),  # type: ignore[arg-type]
    (lambda c: c.subscribe("a", buffer_size=0), ValueError, "buffer_size"),
    (lambda c: c.subscribe("a", buffer_size="1"), ValueError, "buffer_size"),  # type: ignore[arg-type]
    (lambda c: c.position_sync(), ValueError, "position() takes the names of 1 to 100 channels, not ()"),
    (lambda c: c.position_sync("plumless", "buckeroo"), ValueError, "they have the same checksum"),
    (lambda c: c.subscribers(""), ValueError, "and this has 0"),
    (lambda _: Channels("memory"), TypeError, "a log such as MemoryLog(), not 'memory'"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "error", "text"), BAD_CALLS)
def test_what_cannot_be_is_refused_at_once(call: Call, error: type[Exception], text: str) -> None:
    """The error comes from the call itself, names the thing and shows the value; nothing is stored."""
    channels = Channels(MemoryLog())
    with pytest.raises(error) as raised:
        call(channels)
    assert text in str(raised.value)
    assert ".0." in channels.position_sync("a")


class TestSubscribers:
    """Who reads, in this process."""

    def test_subscriptions_are_counted_from_their_first_read_to_their_end(self) -> None:
        """Also those of several channels; one that was never read does not count."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            unread = channels.subscribe("a")
            assert channels.subscribers("a") == 0
            one, two = await opened(channels, "a"), await opened(channels, "a", "b")
            assert (channels.subscribers("a"), channels.subscribers("b"), channels.subscribers("c")) == (2, 1, 0)
            await two.aclose()
            assert (channels.subscribers("a"), channels.subscribers("b")) == (1, 0)
            await one.aclose()
            await unread.aclose()
            assert channels.subscribers("a") == 0

        run(work())

    def test_close_ends_streams_behind_what_was_sent(self) -> None:
        """What is queued is still read, then the end; whoever subscribes later begins anew."""

        async def work() -> None:
            log = TroubledLog()
            channels = Channels(log)
            reader, waiting = await opened(channels, "a"), await opened(channels, "a", "b")
            waits = asyncio.create_task(rest(waiting))
            await asyncio.sleep(0)
            await publish(channels, "a", 1, 2)
            channels.close()
            assert told(await rest(reader)) == [1, 2]
            assert told(await waits) == [1, 2]
            assert log.watched == []
            assert told(await take(channels.subscribe("a", start="oldest"), 2)) == [1, 2]

        run(work())

    def test_close_from_another_thread_ends_streams(self) -> None:
        """A signal handler or a shutdown hook need not be on the loop."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            waits = asyncio.create_task(rest(await opened(channels, "a")))
            await asyncio.to_thread(channels.close)
            assert await waits == []

        run(work())

    @pytest.mark.parametrize("state", ["down", "slow"])
    def test_close_ends_streams_that_wait_for_their_log(self, state: str) -> None:
        """Neither a place that was not found yet nor a read that is under way holds the end back."""

        async def work() -> None:
            log = WaitingLog()
            channels = Channels(log)
            log.down = state == "down"
            log.gate.clear() if state == "slow" else None
            waits = [asyncio.create_task(rest(channels.subscribe("a", after=after))) for after in (None, "x")]
            await until(lambda: log.reads >= 1)
            await asyncio.sleep(0.01)
            channels.close()
            log.gate.set()
            assert [await each for each in waits] == [[], []]

        run(work())


class TestProcesses:
    """Threads, loops and forks."""

    def test_events_of_many_threads_arrive_once_and_in_order(self) -> None:
        """Eight threads publish while two loops read: both see the order of the log."""
        channels = Channels(MemoryLog())
        count, ready = 8 * 50, threading.Barrier(10, timeout=5)
        seen: list[list[Any]] = []

        async def read() -> None:
            reader = await opened(channels, "a", buffer_size=2**20)
            await asyncio.to_thread(ready.wait)
            seen.append([event.id for event in await take(reader, count)])
            await reader.aclose()

        def write(number: int) -> None:
            ready.wait()
            for each in range(50):
                channels.publish_sync("a", [number, each])

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        threads += [threading.Thread(target=lambda: run(read())) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        stored = [event.id for event in run(take(channels.subscribe("a", start="oldest"), count))]
        assert seen == [stored, stored]
        assert channels.subscribers("a") == 0

    def test_a_loop_that_was_closed_with_its_readers_is_forgotten(self) -> None:
        """What is published later goes to nobody, and the log lets go of what watched."""
        log = TroubledLog()
        channels = Channels(log)
        kept = run(opened(channels, "a"))
        assert log.watched == ["a"]
        assert channels.subscribers("a") == 0
        channels.publish_sync("a", 1)
        assert log.watched == []
        assert told(run(take(channels.subscribe("a", start="oldest"), 1))) == [1]
        del kept

    def test_a_busy_loop_is_not_told_without_bound(self) -> None:
        """What another thread publishes while the loop does not turn is read from the log afterwards."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            reader = await opened(channels, "a", buffer_size=2**20)
            thread = threading.Thread(target=lambda: [channels.publish_sync("a", number) for number in range(1_000)])
            thread.start()
            thread.join(5)
            waiting = channels.hub().tails["a"]._told
            assert sum(len(entries or ()) for entries in waiting) <= 100
            assert told(await take(reader, 1_000)) == list(range(1_000))
            await reader.aclose()

        run(work())

    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_fork_begins_without_the_subscriptions_of_its_parent(self) -> None:
        """The child counts none, and publishes and reads by itself."""

        async def parent() -> tuple[Channels, Any]:
            channels = Channels(MemoryLog())
            return channels, await opened(channels, "a")

        channels, reader = run(parent())
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                channels.publish_sync("a", "child")
                found = told(run(take(channels.subscribe("a", start="oldest"), 1)))
                code = 0 if (channels.subscribers("a"), found) == (0, ["child"]) else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert ".0." in channels.position_sync("a")
        del reader

    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_fork_does_not_wait_for_a_lock_that_a_thread_of_its_parent_holds(self) -> None:
        """That thread is not in the child, and would never let go."""
        channels = Channels(MemoryLog())
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with channels._locks.here():
                held.set()
                done.wait(5)

        thread = threading.Thread(target=hold)
        thread.start()
        assert held.wait(5)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = 0 if told(run(take(channels.subscribe("a"), 1))) == ["cursor"] else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        done.set()
        thread.join(5)
