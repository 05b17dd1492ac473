"""Where replay becomes live: nothing is missed, nothing comes twice, whatever order it is told in."""

from __future__ import annotations

import asyncio
import random

import pytest

from streamkit.channels import Channels, MemoryLog, Subscription
from streamkit.channels._entry import Entry
from streamkit.channels._history import Page
from streamkit.channels._log import PAGE
from streamkit.channels._position import Position
from tests.channels.subscribed import TroubledLog, WaitingLog, opened, publish, take, told
from tests.engine.drive import run, until
from tests.engine.fake_clock import settle


class BusyLog(TroubledLog):
    """A log to which something is appended whenever it was read, while it is `busy`."""

    busy = False

    def page(self, channel: str, after: Position | None, count: int = PAGE) -> Page:
        """Read, and append."""
        found = super().page(channel, after, count)
        if self.busy:
            self.append(channel, b"t\nmore")
        return found


async def opened_in_thread(channels: Channels, name: str) -> Subscription:
    """Return a live subscription to a log that is read in threads."""
    reader = channels.subscribe(name, caught_up=True)
    assert told(await take(reader, 2)) == ["cursor", "caught-up"]
    return reader


class TestReplayAndLive:
    """Nothing is missed where one becomes the other, and nothing comes twice."""

    def test_entry_published_while_the_log_is_read_is_not_missed(self) -> None:
        """The page is old when it arrives; what came since is taken from the tail."""

        async def work() -> None:
            log = WaitingLog()
            channels = Channels(log)
            start = (await publish(channels, "a", 1, 2))[0]
            other = await opened_in_thread(channels, "a")
            log.gate.clear()
            reader = channels.subscribe("a", after=start)
            reading = asyncio.ensure_future(take(reader, 3))
            before = log.waiting
            await until(lambda: log.waiting > before)
            await publish(channels, "a", 3, 4)
            log.gate.set()
            assert told(await reading) == [2, 3, 4]
            assert told(await take(other, 2)) == [3, 4]
            await reader.aclose()
            await other.aclose()

        run(work())

    def test_reader_of_a_busy_channel_becomes_live(self) -> None:
        """Though there is more whenever it has read, it reads the log only some times."""

        async def work() -> None:
            log = BusyLog()
            channels = Channels(log)
            other = await opened(channels, "a", buffer_size=2**20)
            start = (await publish(channels, "a", *range(10)))[0]
            log.busy = True
            log.reads = 0
            reader = channels.subscribe("a", after=start, caught_up=True)
            events = await take(reader, 10)
            while events[-1].event != "caught-up":
                events += await take(reader, 1)
            assert log.reads <= 3
            await reader.aclose()
            await other.aclose()

        run(work())

    def test_entry_that_is_told_twice_or_after_it_was_read_is_sent_once(self) -> None:
        """Logs tell by other ways than they are read, so either may be first."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            reader = await opened(channels, "a")
            await publish(channels, "a", 1, 2, 3)
            tail = channels._hubs.here().tails["a"]
            entries = channels.log.page("a", None).entries
            for again in (entries, entries[:1], entries[2:], None):
                tail.told(again)
            await publish(channels, "a", 4)
            assert told(await take(reader, 4)) == [1, 2, 3, 4]
            await settle()
            assert not reader._outbox.items
            await reader.aclose()

        run(work())

    @pytest.mark.parametrize("seed", range(20))
    def test_whatever_order_entries_are_told_in_all_arrive(self, seed: int) -> None:
        """Some never, some twice, some late: what is sent is the log's own order."""

        async def work() -> None:
            chance = random.Random(seed)
            log = MemoryLog()
            channels = Channels(log)
            start = await channels.position("a")
            readers = [channels.subscribe("a", after=start) for _ in range(3)]
            reading = [asyncio.ensure_future(take(reader, 60)) for reader in readers[:2]]
            await settle()
            tail, held = channels._hubs.here().tails["a"], list[Entry]()
            log.unwatch("a", tail.told)
            for number in range(60):
                log.append("a", b"j\n%d" % number)
                held.append(log.page("a", None, 100).entries[-1])
                if number == 30:
                    reading.append(asyncio.ensure_future(take(readers[2], 60)))
                if chance.random() < 0.7:
                    tail.told(chance.sample(held, chance.randint(0, min(3, len(held)))))
                for _ in range(chance.randint(0, 3)):
                    await asyncio.sleep(0)
            tail.told(None)
            for each in reading:
                assert told(await each) == list(range(60))
            log.watch("a", tail.told)
            for reader in readers:
                await reader.aclose()

        run(work())

    def test_channel_left_and_joined_again_within_one_turn_is_followed(self) -> None:
        """The old tail is gone with what it was doing, and the new one is told."""

        async def work() -> None:
            log = TroubledLog()
            channels = Channels(log)
            for _ in range(3):
                reader = await opened(channels, "a")
                await reader.aclose()
                again = channels.subscribe("a")
                assert told(await take(again, 1)) == ["cursor"]
                await publish(channels, "a", 1)
                assert told(await take(again, 1)) == [1]
                await again.aclose()
                assert log.watched == []

        run(work())

    def test_reader_catches_up_in_parts_that_its_buffer_takes(self) -> None:
        """Also with what the channel's tail remembers, which is more than a slow reader may have waiting."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            live = await opened(channels, "a")
            items = [f"{number:03}" + "x" * 200 for number in range(50)]
            ids = await publish(channels, "a", *items)
            late = channels.subscribe("a", after=ids[0], buffer_size=1000)
            assert told(await take(late, 49)) == items[1:]
            await publish(channels, "a", "last")
            assert told(await take(late, 1)) == ["last"]
            await late.aclose()
            await live.aclose()

        run(work())

    def test_reader_that_is_not_where_its_tail_is_reads_the_log(self) -> None:
        """However that came about: an entry that does not follow what the reader has is not sent."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            reader = await opened(channels, "a")
            await publish(channels, "a", 1, 2)
            assert told(await take(reader, 2)) == [1, 2]
            (place,) = channels._hubs.here().tails["a"].places
            place.position = channels.log.page("a", None, 0).floor
            await publish(channels, "a", 3)
            assert not place.live
            assert told(await take(reader, 3)) == [1, 2, 3]
            await reader.aclose()

        run(work())

    def test_log_that_is_lost_is_a_gap_for_those_who_are_live(self) -> None:
        """They are told, and go on with what there is."""

        async def work() -> None:
            log = MemoryLog()
            channels = Channels(log)
            reader = await opened(channels, "a")
            await publish(channels, "a", 1)
            log._stores.here().channels.clear()
            await publish(channels, "a", 2)
            events = await take(reader, 3)
            assert told(events) == [1, "gap", 2]
            assert events[1].data["reason"] == "reset"
            await publish(channels, "a", 3)
            assert told(await take(reader, 1)) == [3]
            await reader.aclose()

        run(work())

    def test_replay_of_thousands_gives_others_their_turns(self) -> None:
        """Also where nothing of it is shown, and a log in memory never waits."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            for number in range(2_000):
                channels.log.append("a", b"j\n%d" % number)
            reader = channels.subscribe("a", start="oldest", visible=lambda event: event.data == 1_999)
            reading, turns = asyncio.ensure_future(take(reader, 1)), 0
            while not reading.done():
                await asyncio.sleep(0)
                turns += 1
            assert turns >= 20
            await reader.aclose()

        run(work())
