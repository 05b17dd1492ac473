"""Events that this reader may not see: judged live and replayed, and no false gap because of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from streamkit import Event
from streamkit.channels import Channels, MemoryLog
from streamkit.channels._entry import OVERHEAD
from tests.channels.subscribed import opened, publish, take, told
from tests.engine.drive import run
from tests.engine.fake_clock import FakeClock, settle

Visible = Callable[[Event], bool | Awaitable[bool]]


def even(event: Event) -> bool:
    """Show even numbers."""
    return isinstance(event.data, int) and event.data % 2 == 0


async def even_later(event: Event) -> bool:
    """Show even numbers, after a turn."""
    await asyncio.sleep(0)
    return even(event)


class Time:
    """The time of a log."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Return it."""
        return self.now


@pytest.mark.parametrize("visible", [even, even_later])
class TestJudging:
    """Plain or async."""

    def test_each_event_is_judged_live_and_replayed(self, visible: Visible) -> None:
        """What is not visible is not sent, neither now nor when the client comes back."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            start = await channels.position("a")
            await publish(channels, "a", 1, 2, 3, 4)
            reader = channels.subscribe("a", after=start, visible=visible, caught_up=True)
            assert told(await take(reader, 3)) == [2, 4, "caught-up"]
            await publish(channels, "a", 5, 6)
            assert told(await take(reader, 1)) == [6]
            await reader.aclose()

        run(work())

    def test_subscribers_with_different_rights_see_different_events(self, visible: Visible) -> None:
        """What one may see says nothing of the other."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            some = await opened(channels, "a", visible=visible)
            everything = await opened(channels, "a")
            await publish(channels, "a", 1, 2)
            assert told(await take(everything, 2)) == [1, 2]
            assert told(await take(some, 1)) == [2]
            await some.aclose()
            await everything.aclose()

        run(work())

    def test_client_that_comes_back_is_told_of_no_gap(self, visible: Visible) -> None:
        """Its id is that of the last event shown; those hidden since are judged again."""

        async def work() -> None:
            channels = Channels(MemoryLog(max_events=100))
            reader = await opened(channels, "a", visible=visible)
            await publish(channels, "a", 2, *[1] * 20)
            last = (await take(reader, 1))[0].id
            await settle()
            await reader.aclose()
            again = channels.subscribe("a", after=last, visible=visible, caught_up=True)
            assert told(await take(again, 1)) == ["caught-up"]
            await again.aclose()

        run(work())


def test_filter_that_raises_ends_the_stream() -> None:
    """An authorisation that fails shows nothing; the channel is left."""

    async def work() -> None:
        channels = Channels(MemoryLog())

        def broken(_: Event) -> bool:
            raise PermissionError("the database is away")

        reader = await opened(channels, "a", visible=broken)
        await publish(channels, "a", 1)
        with pytest.raises(PermissionError, match="the database is away"):
            await take(reader, 1)
        assert channels.subscribers("a") == 0
        assert [event async for event in reader] == []

    run(work())


def test_what_the_subscription_says_itself_is_not_judged() -> None:
    """A filter that shows nothing hides no gap."""

    async def work() -> None:
        channels = Channels(MemoryLog())
        reader = channels.subscribe("a", after="garbage", visible=lambda _: False, caught_up=True)
        assert told(await take(reader, 2)) == ["gap", "caught-up"]
        await reader.aclose()

    run(work())


def test_reader_of_a_quiet_channel_comes_back_to_it_without_a_gap() -> None:
    """A channel is forgotten long after its last subscriber has left, not at once because nothing was published."""

    async def work() -> None:
        time = Time()
        channels = Channels(MemoryLog(max_age=100, now=time), clock=FakeClock())
        reader = channels.subscribe("a")
        last = (await take(reader, 1))[0].id
        for _ in range(100):
            time.now += 10
            await channels.position("other")
        await reader.aclose()
        time.now += 150
        await channels.position("other")
        again = channels.subscribe("a", after=last, caught_up=True)
        assert told(await take(again, 1)) == ["caught-up"]
        await again.aclose()

    run(work())


class TestCursor:
    """Where much is hidden the id moves by an event of its own, which pages that do not listen for it never see."""

    async def _hidden(self, log: MemoryLog, items: list[Any], clock: FakeClock | None = None) -> list[Event]:
        """Return what a reader who may see nothing is sent, and check that no gap is told when it comes back."""
        channels = Channels(log, clock=clock or FakeClock())
        seen: list[Event] = []
        reader = channels.subscribe("a", visible=lambda _: False)
        last = (await take(reader, 1))[0].id

        async def read() -> None:
            seen.extend([event async for event in reader])

        reading = asyncio.ensure_future(read())
        await settle()
        for item in items:
            await channels.publish("a", item)
            await settle()
        await reader.aclose()
        await reading
        last = seen[-1].id if seen else last
        again = channels.subscribe("a", after=last, visible=lambda _: False, caught_up=True)
        assert told(await take(again, 1)) == ["caught-up"]
        await again.aclose()
        return seen

    def test_id_moves_when_a_quarter_of_the_entries_is_hidden(self) -> None:
        """A hundred kept: one cursor for each 25, however many are hidden."""
        seen = run(self._hidden(MemoryLog(max_events=100), [1] * 260))
        assert [(event.event, event.data) for event in seen] == [("cursor", {})] * 10
        assert len({event.id for event in seen}) == 10

    def test_id_moves_when_a_quarter_of_the_bytes_is_hidden(self) -> None:
        """Large events are few, and push others out as well."""
        item = "x" * (1_000 - OVERHEAD - 2)
        assert told(run(self._hidden(MemoryLog(max_bytes=40_000), [item] * 45))) == ["cursor"] * 4

    def test_id_moves_when_a_quarter_of_the_age_has_passed_in_the_log(self) -> None:
        """The time that counts is that of the entries."""
        time = Time()
        log = MemoryLog(max_age=100, now=time)

        async def work() -> None:
            channels = Channels(log, clock=FakeClock())
            reader = await opened(channels, "a", visible=lambda _: False)
            reading = asyncio.ensure_future(anext(reader))
            await publish(channels, "a", 1)
            time.now += 24
            await publish(channels, "a", 1)
            await settle()
            assert not reading.done()
            time.now += 2
            await publish(channels, "a", 1)
            assert (await reading).event == "cursor"
            await reader.aclose()

        run(work())

    def test_id_moves_in_time_where_nothing_is_published_any_more(self) -> None:
        """One hidden event, then silence: without this the id would grow too old by waiting."""
        time, clock = Time(), FakeClock()
        log = MemoryLog(max_age=100, now=time)

        async def work() -> None:
            channels = Channels(log, clock=clock)
            reader = await opened(channels, "a", visible=lambda _: False)
            reading = asyncio.ensure_future(anext(reader))
            await publish(channels, "a", 1)
            await settle()
            await clock.advance(24)
            assert not reading.done()
            await clock.advance(2)
            cursor = await reading
            assert cursor.event == "cursor"
            assert clock.pending == []
            time.now += 150
            await reader.aclose()
            again = channels.subscribe("a", after=cursor.id, caught_up=True)
            assert told(await take(again, 1)) == ["caught-up"]
            await again.aclose()

        run(work())

    def test_event_that_is_shown_takes_the_id_along(self) -> None:
        """No cursor is sent where one rides anyway, and no timer is left."""
        clock = FakeClock()

        async def work() -> None:
            channels = Channels(MemoryLog(max_events=40), clock=clock)
            reader = await opened(channels, "a", visible=even)
            for _ in range(5):
                await publish(channels, "a", *[1] * 9, 2)
                assert told(await take(reader, 1)) == [2]
            assert clock.pending == []
            await publish(channels, "a", 1)
            reading = asyncio.ensure_future(anext(reader))
            await settle()
            assert len(clock.pending) == 1
            reading.cancel()
            await asyncio.wait([reading])
            await reader.aclose()
            assert clock.pending == []

        run(work())
