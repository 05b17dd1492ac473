"""One reader: cancelled wherever it waits, ended by whomever, thrown away."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from streamkit import Event
from streamkit.channels import Channels, MemoryLog
from tests.channels.subscribed import TroubledLog, WaitingLog, opened, publish, rest, take, told
from tests.engine.drive import run
from tests.engine.fake_clock import settle


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
        """A loop that was left by `break` closes nothing: the subscription itself leaves, as soon as nobody has it."""

        async def work() -> None:
            log = TroubledLog()
            channels = Channels(log)
            async for event in channels.subscribe("a"):
                assert event.event == "cursor"
                break
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
