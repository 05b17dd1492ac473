"""Who reads in this process, how they are ended, and what threads, several loops and a fork do to it."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import pytest

from streamkit.channels import Channels, MemoryLog
from tests.channels.subscribed import TroubledLog, WaitingLog, opened, publish, rest, take, told
from tests.engine.drive import run, until
from tests.engine.fake_clock import settle


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
            await settle()
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
            waiting = channels._hubs.here().tails["a"]._told
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
            with channels._hubs._locks.here():
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
