"""What follows a gap is chosen: what the log has, what comes, or a snapshot."""

from __future__ import annotations

import asyncio

import pytest

from streamkit import Event, EventDecoder, InvalidEventError
from streamkit.channels import Gap
from tests.channels.subscribed import take, ten, told
from tests.engine.drive import run
from tests.engine.lives import eventually


class TestOnGap:
    """What follows a gap is chosen."""

    def test_live_skips_what_the_log_has(self) -> None:
        """The gap's id is that of now."""

        async def work() -> None:
            channels, ids = await ten()
            reader = channels.subscribe("orders", after=ids[3], on_gap="live", caught_up=True)
            events = await take(reader, 2)
            assert told(events) == ["gap", "caught-up"]
            assert events[0].id == ids[10]
            await reader.aclose()

        run(work())

    @pytest.mark.parametrize("is_async", [False, True])
    def test_callback_makes_a_snapshot(self, is_async: bool) -> None:
        """It is told what is missing, and what is published while it runs comes after what it returns."""

        async def work() -> None:
            channels, ids = await ten()
            gaps: list[Gap] = []

            def now(gap: Gap) -> dict[str, int]:
                gaps.append(gap)
                return {"total": 10}

            async def soon(gap: Gap) -> dict[str, int]:
                await channels.publish("orders", 11)
                return now(gap)

            reader = channels.subscribe("orders", after=ids[3], on_gap=soon if is_async else now)
            events = await take(reader, 2)
            assert told(events) == ["gap", "snapshot"]
            await channels.publish("orders", 12)
            assert told(await take(reader, 2 if is_async else 1)) == [*([11] if is_async else []), 12]
            assert events[0].id is None
            assert (events[1].data, events[1].id) == ({"total": 10}, ids[10])
            assert gaps == [Gap("orders", ids[3], ids[5], "evicted")]
            await reader.aclose()

        run(work())

    def test_client_that_is_cut_off_before_the_snapshot_gets_both_again(self) -> None:
        """The gap has no id, so the client still has its old one."""

        async def work() -> None:
            channels, ids = await ten()
            for _ in range(2):
                reader = channels.subscribe("orders", after=ids[3], on_gap=lambda _: "all of it")
                client = EventDecoder()
                client.feed(f"id: {ids[3]}\n\n".encode())
                gap = (await take(reader, 1))[0]
                assert (gap.event, gap.id) == ("gap", None)
                await reader.aclose()

        run(work())

    def test_snapshot_keeps_the_type_of_its_event(self) -> None:
        """An Event that has data and a type is sent with both."""

        async def work() -> None:
            channels, ids = await ten()
            reader = channels.subscribe("orders", after=ids[3], on_gap=lambda _: Event([1], event="orders"))
            gap, snapshot = await take(reader, 2)
            assert (gap.event, snapshot.event, snapshot.data, snapshot.id) == ("gap", "orders", [1], ids[10])
            await reader.aclose()

        run(work())

    def test_callback_that_has_nothing_leaves_the_gap_alone(self) -> None:
        """None is no snapshot: the gap then has the id of now."""

        async def work() -> None:
            channels, ids = await ten()
            reader = channels.subscribe("orders", after=ids[3], on_gap=lambda _: None, caught_up=True)
            events = await take(reader, 2)
            assert told(events) == ["gap", "caught-up"]
            assert events[0].id == ids[10]
            await reader.aclose()

        run(work())

    @pytest.mark.parametrize("item", [Event("x", id=1), Event("x", retry=1), Event("x", event="gap")])
    def test_snapshot_with_what_is_not_its_own_is_refused(self, item: Event) -> None:
        """An id of the callback's would lead nowhere."""

        async def work() -> None:
            channels, ids = await ten()
            with pytest.raises(InvalidEventError):
                await take(channels.subscribe("orders", after=ids[3], on_gap=lambda _: item), 2)
            assert channels.subscribers("orders") == 0

        run(work())

    def test_callback_that_fails_ends_the_stream(self) -> None:
        """The error is the reader's, and the channel is left."""

        async def work() -> None:
            channels, _ = await ten()
            reader = channels.subscribe("orders", after="x", on_gap=lambda _: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await take(reader, 1)
            assert channels.subscribers("orders") == 0
            assert [event async for event in reader] == []

        run(work())

    def test_callback_that_is_cancelled_is_asked_again(self) -> None:
        """A reader that gives up waiting and comes back is still told of the gap."""

        async def work() -> None:
            channels, ids = await ten()
            calls = []

            async def slow(_: Gap) -> str:
                calls.append(1)
                await asyncio.sleep(0 if len(calls) > 1 else 100)
                return "all"

            reader = channels.subscribe("orders", after=ids[3], on_gap=slow)
            first = asyncio.ensure_future(anext(reader))
            await eventually(lambda: calls)
            first.cancel()
            await asyncio.wait([first])
            assert told(await take(reader, 2)) == ["gap", "snapshot"]
            await reader.aclose()

        run(work())
