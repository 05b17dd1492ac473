"""A log that is down, which subscribers wait for, and one that is broken, which leaves none of them hanging."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamkit.channels import Channels, MemoryLog
from streamkit.channels._history import Page
from streamkit.channels._log import PAGE
from streamkit.channels._position import Position
from streamkit.errors import LogUnavailableError
from tests.channels.subscribed import TroubledLog, WaitingLog, opened, publish, rest, take, told
from tests.engine.drive import run, until
from tests.engine.fake_clock import FakeClock, settle


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
            # Who begins now leaves the first read to the channel's tail; all others ask once for themselves.
            await until(lambda: log.reads >= (1 if after is None else len(readers)))
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
            tail = channels._hubs.here().tails["a"]
            log.unwatch("a", tail.told)
            await publish(channels, "a", 1, 2)
            log.watch("a", tail.told)
            log.down = True
            await settle()
            await clock.advance(0.1)
            assert not reader._outbox.items
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
                channels._hubs.here().tails["a"].told(None)
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
            task = channels._hubs.here().tails["a"]._task
            assert task is not None
            task.cancel()
            with pytest.raises(RuntimeError, match="log has failed"):
                await waits

        run(work())

    def test_log_that_cannot_be_watched_fails_the_stream(self) -> None:
        """The channels that were joined before are left."""

        class Deaf(TroubledLog):
            def _watching(self, channel: str, tell: Any) -> None:
                if channel == "b":
                    raise OSError("no more files")
                super()._watching(channel, tell)

        async def work() -> None:
            log = Deaf()
            channels = Channels(log)
            with pytest.raises(OSError, match="no more files"):
                await take(channels.subscribe("a", "b"), 1)
            assert channels.subscribers("a") == 0
            assert log.watched == []

        run(work())
