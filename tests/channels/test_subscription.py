"""One reader: the races between replay and live, cancellation wherever it waits, and a log that is down or broken."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from typing import Any

import pytest

from streamkit import Event
from streamkit.channels import Channels, MemoryLog, Subscription
from streamkit.channels._entry import Entry
from streamkit.channels._history import Page
from streamkit.channels._log import PAGE
from streamkit.channels._position import Position
from streamkit.errors import LogUnavailableError
from tests.channels.subscribed import TroubledLog, WaitingLog, opened, publish, rest, take, told
from tests.engine.drive import run, until
from tests.engine.fake_clock import FakeClock, settle


class BusyLog(TroubledLog):
    """A log to which something is appended whenever it was read, while it is `busy`."""

    busy = False

    def page(self, channel: str, after: Position | None, count: int = PAGE) -> Page:
        """Read, and append."""
        found = super().page(channel, after, count)
        if self.busy:
            self.append(channel, b"t\nmore")
        return found


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
            tail = channels.hub().tails["a"]
            entries = channels.log.page("a", None).entries
            for again in (entries, entries[:1], entries[2:], None):
                tail.told(again)
            await publish(channels, "a", 4)
            assert told(await take(reader, 4)) == [1, 2, 3, 4]
            await settle()
            assert not reader._outbox
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
            tail, held = channels.hub().tails["a"], list[Entry]()
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


async def opened_in_thread(channels: Channels, name: str) -> Subscription:
    """Return a live subscription to a log that is read in threads."""
    reader = channels.subscribe(name, caught_up=True)
    assert told(await take(reader, 2)) == ["cursor", "caught-up"]
    return reader


class TestCancellation:
    """A reader that gives up waiting and comes back goes on where it was."""

    @pytest.mark.parametrize("kind", [MemoryLog, WaitingLog])
    @pytest.mark.parametrize("names", [("a",), ("a", "b")])
    @pytest.mark.parametrize("after", ["known", "garbage", None])
    def test_reader_cancelled_at_every_turn_misses_nothing(
        self, kind: type[MemoryLog], names: tuple[str, ...], after: str | None
    ) -> None:
        """Wherever it waits: for its place, the log, a filter, a snapshot, or the next event."""

        async def visible(_: Event) -> bool:
            await asyncio.sleep(0)
            return True

        async def snapshot(_: Any) -> str:
            await asyncio.sleep(0)
            return "all"

        async def work(turns: int) -> list[Any]:
            channels = Channels(kind())
            known = await channels.position(*names)
            await publish(channels, "a", 1, 2)
            options: dict[str, Any] = {"visible": visible, "on_gap": snapshot, "caught_up": True}
            reader = channels.subscribe(*names, after=known if after == "known" else after, **options)
            seen: list[Event] = []
            published = False
            while not any(event.data == 4 for event in seen):
                reading = asyncio.ensure_future(anext(reader))
                for _ in range(turns):
                    await asyncio.sleep(0)
                reading.cancel()
                await asyncio.wait([reading])
                if not reading.cancelled():
                    seen.append(reading.result())
                else:
                    turns += 1  # else a wait of many turns would never end
                if seen and seen[-1].event == "caught-up" and not published:
                    published = True
                    await publish(channels, "a", 3, 4)
            await reader.aclose()
            return told(seen)

        first: dict[str | None, list[Any]] = {
            "known": [1, 2],
            "garbage": ["gap", "snapshot"] * len(names),
            None: ["cursor"],
        }
        expected = first[after]
        for turns in range(6):
            assert run(work(turns)) == [*expected, "caught-up", 3, 4]


class TestEnd:
    """How a subscription ends."""

    def test_close_from_another_task_ends_who_waits(self) -> None:
        """The reader finds the end, not an error."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            reader = await opened(channels, "a")
            waits = asyncio.create_task(rest(reader))
            await settle()
            await reader.aclose()
            await reader.aclose()
            assert await waits == []
            await publish(channels, "a", 1)
            with pytest.raises(StopAsyncIteration):
                await anext(reader)

        run(work())

    def test_subscription_that_was_never_read_needs_no_closing(self) -> None:
        """A view that fails after `subscribe` leaves nothing behind; closed, it has ended."""

        async def work() -> None:
            log = TroubledLog()
            reader = Channels(log).subscribe("a")
            await reader.aclose()
            assert await rest(reader) == []
            assert log.watched == []

        run(work())

    def test_subscription_is_read_once_and_by_one(self) -> None:
        """Two readers would each get some of the events."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            reader = await opened(channels, "a")
            waits = asyncio.ensure_future(anext(reader))
            await settle()
            with pytest.raises(RuntimeError, match="one reader"):
                await anext(reader)
            aiter(reader)
            with pytest.raises(RuntimeError, match="read once"):
                aiter(reader)
            await publish(channels, "a", 1)
            assert told([await waits]) == [1]
            await reader.aclose()

        run(work())

    @pytest.mark.parametrize("names", [("a",), ("a", "b")])
    @pytest.mark.parametrize("kind", [MemoryLog, WaitingLog])
    def test_subscription_ends_when_all_its_channels_are_sealed(
        self, kind: type[MemoryLog], names: tuple[str, ...]
    ) -> None:
        """Live and replayed: behind the last entry of each, and not before."""

        async def work() -> None:
            channels = Channels(kind())
            start = await channels.position(*names)
            live, late = channels.subscribe(*names), channels.subscribe(*names, after=start, caught_up=True)
            assert told(await take(live, 1)) == ["cursor"]
            for name in names:
                await publish(channels, name, name)
                assert told(await take(live, 1)) == [name]
                channels.log.append(name, b"t\nlast", seal=True)
                assert told(await take(live, 1)) == ["last"]
            assert await rest(live) == []
            everything = [item for name in names for item in (name, "last")]
            assert told(await rest(late)) == [*everything, "caught-up"]
            assert [channels.subscribers(name) for name in names] == [0] * len(names)

        run(work())

    def test_abandoned_subscription_is_let_go(self) -> None:
        """A loop that was left by `break` closes nothing; the garbage collector does."""

        async def work() -> None:
            log = TroubledLog()
            channels = Channels(log)
            async for event in channels.subscribe("a"):
                assert event.event == "cursor"
                break
            gc.collect()
            await settle()
            assert channels.subscribers("a") == 0
            assert log.watched == []

        run(work())

    def test_reader_that_nobody_else_holds_goes_on(self) -> None:
        """Asyncio keeps only a weak hold on a task: without the hub, this one would vanish where it waits."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            seen: list[Any] = []

            async def read() -> None:
                async for event in channels.subscribe("a"):
                    seen.append(event.data)
                    if event.data == 1:
                        break

            task = weakref.ref(asyncio.create_task(read()))
            await settle()
            gc.collect()
            await publish(channels, "a", 1)
            await settle()
            assert seen == [{}, 1]
            gc.collect()
            assert task() is None

        run(work())


class TestTroubledLog:
    """Subscribers wait for a log that is down, and are not left hanging by one that is broken."""

    @pytest.mark.parametrize("after", [None, "known", "garbage"])
    @pytest.mark.parametrize("kind", [TroubledLog, WaitingLog])
    def test_subscribers_wait_for_a_log_that_is_down(
        self, kind: type[TroubledLog], after: str | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        """They catch up when it is back; one of them asks for all, ever more seldom, and it is said once."""

        async def work() -> None:
            clock, log = FakeClock(), kind()
            channels = Channels(log, clock=clock)
            known = await channels.position("a")
            await publish(channels, "a", 1)
            log.down = True
            readers = [
                channels.subscribe("a", after=known if after == "known" else after, caught_up=True) for _ in range(50)
            ]
            reading = [asyncio.ensure_future(take(reader, 2)) for reader in readers]
            await until(lambda: bool(clock.pending))
            await _in_threads(log)
            asked = log.reads
            for _ in range(10):
                await clock.advance(2.0)
                await until(lambda: bool(clock.pending))
            assert 8 <= log.reads - asked <= 20
            log.down = False
            await clock.advance(2.0)
            expected = {None: ["cursor", "caught-up"], "known": [1, "caught-up"], "garbage": ["gap", 1]}[after]
            for each in reading:
                assert told(await each) == expected
            for reader in readers:
                await reader.aclose()

        run(work())
        lines = [record.getMessage() for record in caplog.records if "log" in record.getMessage()]
        assert [line.split(":")[0] for line in lines if "which is no id" not in line] == [
            "Subscribers wait for a log that is down",
            "The log is back",
        ]

    def test_reader_whose_replay_fails_goes_on_though_its_tail_has_nothing_to_do(self) -> None:
        """The tail of a channel that others follow asks the log for the one who cannot read."""

        async def work() -> None:
            clock, log = FakeClock(), TroubledLog()
            channels = Channels(log, clock=clock)
            other = await opened(channels, "a")
            start = (await publish(channels, "a", 1, 2))[0]
            log.down = True
            reader = channels.subscribe("a", after=start)
            waits = asyncio.ensure_future(take(reader, 1))
            await settle()
            await clock.advance(1.0)
            log.down = False
            await clock.advance(2.0)
            assert told(await waits) == [2]
            await reader.aclose()
            await other.aclose()

        run(work())

    def test_live_reader_catches_up_with_what_was_published_meanwhile(self) -> None:
        """It learns that something was missed while the log is down, and reads it when it is back."""

        async def work() -> None:
            clock, log = FakeClock(), TroubledLog()
            channels = Channels(log, clock=clock)
            reader = await opened(channels, "a")
            tail = channels.hub().tails["a"]
            log.unwatch("a", tail.told)
            await publish(channels, "a", 1, 2)
            log.watch("a", tail.told)
            log.down = True
            await settle()
            await clock.advance(0.1)
            assert not reader._outbox
            log.down = False
            await clock.advance(2.0)
            assert told(await take(reader, 2)) == [1, 2]
            await reader.aclose()

        run(work())

    def test_channel_that_cannot_be_read_is_said_once_while_others_can(self, caplog: pytest.LogCaptureFixture) -> None:
        """A log may answer for one and not for another; that it is back is said when it is."""

        class Half(TroubledLog):
            def page(self, channel: str, after: Position | None, count: int = PAGE) -> Page:
                if channel == "b" and self.down:
                    raise LogUnavailableError("Half()", "read", "that shard is away")
                return MemoryLog.page(self, channel, after, count)

        async def work() -> None:
            clock, log = FakeClock(), Half()
            channels = Channels(log, clock=clock)
            log.down = True
            reader = channels.subscribe("b")
            waits = asyncio.ensure_future(take(reader, 1))
            await until(lambda: bool(clock.pending))
            for _ in range(5):
                other = await opened(channels, "a")
                await other.aclose()
                await clock.advance(2.0)
            assert len(caplog.records) == 1
            log.down = False
            await clock.advance(2.0)
            assert told(await waits) == ["cursor"]
            await reader.aclose()
            assert [record.getMessage() for record in caplog.records][1:] == ["The log is back"]

        run(work())

    def test_reader_that_leaves_while_the_log_is_down_leaves_nothing(self) -> None:
        """No task goes on asking for a channel that nobody follows."""

        async def work() -> None:
            clock, log = FakeClock(), TroubledLog()
            log.down = True
            reader = Channels(log, clock=clock).subscribe("a")
            waits = asyncio.ensure_future(rest(reader))
            await until(lambda: bool(clock.pending))
            await reader.aclose()
            assert await waits == []
            assert clock.pending == []
            assert log.watched == []

        run(work())

    @pytest.mark.parametrize("error", [ValueError("a row that is none"), asyncio.CancelledError()])
    @pytest.mark.parametrize("when", ["begins", "live"])
    def test_log_that_is_broken_fails_the_stream(self, error: BaseException, when: str) -> None:
        """Nobody is left waiting for a tail that has died; who comes next has a new one."""

        async def work() -> None:
            log = TroubledLog()
            channels = Channels(log)
            readers = [channels.subscribe("a") for _ in range(2)]
            if when == "live":
                assert [told(await take(reader, 1)) for reader in readers] == [["cursor"]] * 2
            waits = [asyncio.ensure_future(take(reader, 1)) for reader in readers]
            if when == "live":
                await settle()
            log.broken = error
            if when == "live":
                channels.hub().tails["a"].told(None)
            for each in waits:
                with pytest.raises(RuntimeError, match="log has failed") as raised:
                    await each
                cause = raised.value.__cause__
                assert cause is error or (cause is not None and cause.__cause__ is error)
            assert channels.subscribers("a") == 0
            assert log.watched == []
            log.broken = None
            again = await opened(channels, "a")
            await publish(channels, "a", 1)
            assert told(await take(again, 1)) == [1]
            await again.aclose()

        run(work())

    def test_page_that_cannot_be_read_fails_that_stream_alone(self) -> None:
        """One reader's replay is no other reader's fault."""

        async def work() -> None:
            log = TroubledLog()
            channels = Channels(log)
            start = (await publish(channels, "a", 1, 2))[0]
            other = await opened(channels, "a")
            log.broken = ValueError("a row that is none")
            with pytest.raises(ValueError, match="a row that is none"):
                await take(channels.subscribe("a", after=start), 1)
            await publish(channels, "a", 3)
            assert told(await take(other, 1)) == [3]
            await other.aclose()

        run(work())

    def test_tail_whose_task_was_cancelled_fails_the_stream(self) -> None:
        """Whoever cancels all tasks of a loop cancels this one too."""

        async def work() -> None:
            clock, log = FakeClock(), TroubledLog()
            channels = Channels(log, clock=clock)
            log.down = True
            waits = asyncio.ensure_future(take(channels.subscribe("a"), 1))
            await until(lambda: bool(clock.pending))
            task = channels.hub().tails["a"]._task
            assert task is not None
            task.cancel()
            with pytest.raises(RuntimeError, match="log has failed"):
                await waits

        run(work())

    def test_log_that_cannot_be_watched_fails_the_stream(self) -> None:
        """The channels that were joined before are left."""

        class Deaf(TroubledLog):
            def _watching(self, channel: str, tell: Any, *, first: bool) -> None:
                if channel == "b":
                    raise OSError("no more files")
                super()._watching(channel, tell, first=first)

        async def work() -> None:
            log = Deaf()
            channels = Channels(log)
            with pytest.raises(OSError, match="no more files"):
                await take(channels.subscribe("a", "b"), 1)
            assert channels.subscribers("a") == 0
            assert log.watched == []

        run(work())


async def _in_threads(log: TroubledLog) -> None:
    """Let calls that are under way in threads come back."""
    for _ in range(5):
        await asyncio.sleep(0.005)
        await settle()
