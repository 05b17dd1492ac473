"""Resume is exact, or it says so: the table of ids, gaps and what follows them, and places in several channels."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from streamkit import Event, EventDecoder, InvalidEventError
from streamkit.channels import Channels, Gap, MemoryLog
from streamkit.channels._position import checksum
from tests.channels.subscribed import TroubledLog, opened, publish, take, told
from tests.engine.drive import Client, run, start
from tests.engine.lives import eventually

EVICTED = 5
"""Of ten events; what every log of these tests has dropped."""


async def ten(log: MemoryLog | None = None) -> tuple[Channels, dict[int, str]]:
    """Return channels in which 1 to 10 were published on "orders", and 6 to 10 are kept; and their ids."""
    channels = Channels(log or MemoryLog(max_events=5))
    ids = await publish(channels, "orders", *range(1, 11))
    return channels, dict(enumerate(ids, 1))


async def served(channels: Channels, after: str | None, **options: Any) -> list[Event]:
    """Return what a client dispatches that came with an id, until it has caught up."""
    client = Client()
    task = start(channels.subscribe("orders", after=after, caught_up=True, **options), client)
    await eventually(lambda: b"event: caught-up" in client.body)
    client.leave()
    await task
    return EventDecoder().feed(client.body)


def said(events: list[Event]) -> list[Any]:
    """Return the numbers, and what the gap says, up to caught-up."""
    assert events[-1].event == "caught-up"
    return [(e.event, json.loads(e.data).get("reason")) if e.event else int(e.data) for e in events[:-1]]


def forged(id: str, **parts: str) -> str:
    """Return an id with some of its parts replaced."""
    names = ("sum", "epoch", "offset", "tag")
    return ".".join(parts.get(name, part) for name, part in zip(names, id.split("."), strict=True))


Asked = Callable[[dict[int, str]], str | None]
KEPT = [6, 7, 8, 9, 10]
TABLE: dict[str, tuple[Asked, list[Any]]] = {
    "8": (lambda ids: ids[8], [9, 10]),
    "10, the last": (lambda ids: ids[10], []),
    "5, just before the oldest": (lambda ids: ids[5], KEPT),
    "3, evicted": (lambda ids: ids[3], [("gap", "evicted"), *KEPT]),
    "57, from the future": (lambda ids: forged(ids[10], offset="57"), [("gap", "reset")]),
    "57 with a late tag": (lambda ids: forged(ids[10], offset="57", tag="z" * 13), [("gap", "reset")]),
    "57 of a later epoch": (lambda ids: forged(ids[10], epoch="z" * 13, offset="57"), [("gap", "reset")]),
    "the number alone": (lambda _: "57", [("gap", "unknown"), *KEPT]),
    "another log's": (lambda ids: forged(ids[8], epoch="1", tag="1"), [("gap", "reset"), *KEPT]),
    "another entry at its place": (lambda ids: forged(ids[8], tag="1"), [("gap", "reset"), *KEPT]),
    "garbage": (lambda _: "garbage", [("gap", "unknown"), *KEPT]),
    "another tenant's": (lambda ids: forged(ids[8], sum=checksum("theirs")), [("gap", "unknown"), *KEPT]),
    "10,000 channels": (lambda ids: ",".join([ids[8]] * 10_000), [("gap", "unknown"), *KEPT]),
    "1 MB": (lambda _: "x" * 2**20, [("gap", "unknown"), *KEPT]),
    "other digits": (lambda ids: forged(ids[8], offset="\N{ARABIC-INDIC DIGIT EIGHT}"), [("gap", "unknown"), *KEPT]),
    "no text that could be sent": (lambda _: "\udcff", [("gap", "unknown"), *KEPT]),
    "empty": (lambda _: "", [("cursor", None)]),
    "absent": (lambda _: None, [("cursor", None)]),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
class TestTable:
    """Ids 6 to 10 are kept, 1 to 5 evicted."""

    def test_client_gets_exactly_what_follows_or_is_told(self, row: tuple[Asked, list[Any]]) -> None:
        """End to end, as a client that decodes the event stream sees it."""
        asked, expected = row

        async def work() -> None:
            channels, ids = await ten()
            assert said(await served(channels, asked(ids))) == expected

        run(work())

    def test_the_answer_is_the_same_while_others_are_live(self, row: tuple[Asked, list[Any]]) -> None:
        """What this process knows of the channel takes no client's word for anything."""
        asked, expected = row

        async def work() -> None:
            channels = Channels(MemoryLog(max_events=5))
            other = await opened(channels, "orders")
            ids = dict(enumerate(await publish(channels, "orders", *range(1, 11)), 1))
            assert said(await served(channels, asked(ids))) == expected
            await channels.publish("orders", 11)
            assert told(await take(other, 11)) == list(range(1, 12))
            await other.aclose()

        run(work())

    def test_what_the_client_was_sent_last_leads_on(self, row: tuple[Asked, list[Any]]) -> None:
        """Whatever was told, a client that comes back with its last id misses nothing, and gets nothing twice."""
        asked, _ = row

        async def work() -> None:
            channels, ids = await ten()
            last = (await served(channels, asked(ids)))[-1].id
            assert last == ids[10]
            await channels.publish("orders", 11)
            assert said(await served(channels, last)) == [11]

        run(work())

    def test_strange_id_costs_little_and_is_logged_once(
        self, row: tuple[Asked, list[Any]], caplog: pytest.LogCaptureFixture
    ) -> None:
        """The log is looked at some times, not for each channel that an id names; and the line is short."""
        asked, expected = row
        caplog.set_level(logging.INFO, "streamkit")

        async def work() -> None:
            log = TroubledLog(max_events=5)
            channels, ids = await ten(log)
            log.views = 0
            await served(channels, asked(ids))
            assert log.views < 12

        run(work())
        is_gap = bool(expected) and isinstance(expected[0], tuple) and expected[0][0] == "gap"
        assert len(caplog.records) == int(is_gap)
        assert all(len(record.getMessage()) < 500 for record in caplog.records)


def test_gap_event_says_what_was_asked_for_and_what_there_is() -> None:
    """A page can tell how much it misses; only the beginning of a long id is repeated."""

    async def work() -> None:
        channels, ids = await ten()
        gap = (await take(channels.subscribe("orders", after=ids[3]), 1))[0]
        assert gap.data == {"requested": ids[3], "oldest": ids[5], "reason": "evicted"}
        assert gap.id == ids[5]
        long = (await take(channels.subscribe("orders", after="é" * 500), 1))[0]
        assert long.data["requested"] == "é" * 200

    run(work())


class TestOnGap:
    """What follows a gap is chosen."""

    def test_live_skips_what_the_log_has(self) -> None:
        """The gap's id is that of now."""

        async def work() -> None:
            channels, ids = await ten()
            events = await served(channels, ids[3], on_gap="live")
            assert said(events) == [("gap", "evicted")]
            assert events[0].id == ids[10]

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


class TestPage:
    """An id that was rendered into a page."""

    def test_nothing_is_lost_between_the_page_and_its_stream(self) -> None:
        """What is published after `position` is replayed, and what is after that is live."""

        async def work() -> None:
            channels, _ = await ten()
            position = await channels.position("orders")
            await channels.publish("orders", 11)
            reader = channels.subscribe("orders", after=position, caught_up=True)
            assert told(await take(reader, 2)) == [11, "caught-up"]
            await channels.publish("orders", 12)
            assert told(await take(reader, 1)) == [12]
            await reader.aclose()

        run(work())

    def test_position_of_a_channel_that_nobody_has_used_is_one(self) -> None:
        """The page may be the first to know of it."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            position = await channels.position("new", "other")
            await publish(channels, "new", 1)
            reader = channels.subscribe("new", "other", after=position, caught_up=True)
            assert told(await take(reader, 2)) == [1, "caught-up"]
            await reader.aclose()

        run(work())


class TestSeveralChannels:
    """A vector of positions in one id."""

    def test_each_id_leads_on_in_every_channel(self) -> None:
        """Whichever event is the last that a client has seen."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            start = await channels.position("a", "b")
            await publish(channels, "a", "a1", "a2")
            await publish(channels, "b", "b1", "b2")
            everything = await take(channels.subscribe("a", "b", after=start), 4)
            assert sorted(told(everything)) == ["a1", "a2", "b1", "b2"]
            for seen in range(1, 4):
                reader = channels.subscribe("a", "b", after=everything[seen - 1].id, caught_up=True)
                rest = told(await take(reader, 5 - seen))
                assert sorted([*told(everything[:seen]), *rest[:-1]]) == ["a1", "a2", "b1", "b2"]
                await reader.aclose()

        run(work())

    def test_page_that_has_one_channel_more_begins_there(self) -> None:
        """It is given an id for both before anything else, and goes on exactly in the one it had."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            old, _ = await publish(channels, "a", "a1", "a2")
            await publish(channels, "b", "b1")
            reader = channels.subscribe("a", "b", after=old)
            events = await take(reader, 2)
            assert told(events) == ["cursor", "a2"]
            assert all((event.id or "").count(",") == 1 for event in events)
            await publish(channels, "b", "b2")
            assert told(await take(reader, 1)) == ["b2"]
            again = channels.subscribe("a", "b", after=events[0].id, caught_up=True)
            assert told(await take(again, 3)) == ["a2", "b2", "caught-up"]
            await reader.aclose()
            await again.aclose()

        run(work())

    def test_page_that_has_one_channel_less_goes_on_in_the_other(self) -> None:
        """What it no longer names is left out."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            both = await channels.position("a", "b")
            await publish(channels, "a", "a1")
            await publish(channels, "b", "b1")
            reader = channels.subscribe("b", after=both, caught_up=True)
            assert told(await take(reader, 2)) == ["b1", "caught-up"]
            await reader.aclose()

        run(work())

    @pytest.mark.parametrize("on_gap", ["oldest", "live", lambda _: "all"])
    def test_client_cut_off_between_two_gaps_is_told_of_both_again(self, on_gap: Any) -> None:
        """No id is sent that has a place in one channel and none in the other."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            await publish(channels, "a", "a1")
            await publish(channels, "b", "b1")
            reader = channels.subscribe("a", "b", after="garbage", on_gap=on_gap, caught_up=True)
            last, gaps = None, []
            while last is None:
                event = (await take(reader, 1))[0]
                last = event.id
                gaps += [event.data["channel"]] if event.event == "gap" else []
            assert gaps == ["a", "b"]
            await reader.aclose()
            again = channels.subscribe("a", "b", after=last, caught_up=True)
            expected = ["a1", "b1", "caught-up"] if on_gap == "oldest" else ["caught-up"]
            assert told(await take(again, len(expected))) == expected
            await again.aclose()

        run(work())

    def test_gap_of_one_channel_names_it_and_leaves_the_other_exact(self) -> None:
        """The vector says where the client stands in the rest."""

        async def work() -> None:
            channels = Channels(MemoryLog(max_events=5))
            start = await channels.position("a", "b")
            await publish(channels, "a", *range(10))
            await publish(channels, "b", "b1")
            events = await take(channels.subscribe("a", "b", after=start), 7)
            assert told(events) == ["gap", 5, 6, 7, 8, 9, "b1"]
            assert (events[0].data["channel"], events[0].data["reason"]) == ("a", "evicted")

        run(work())

    def test_a_hundred_channels_in_one_subscription(self) -> None:
        """Each is counted once, and each event has an id that leads on in all."""

        async def work() -> None:
            channels = Channels(MemoryLog())
            names = [f"channel {number}" for number in range(100)]
            start = await channels.position(*names)
            reader = channels.subscribe(*names, after=start, caught_up=True)
            assert told(await take(reader, 1)) == ["caught-up"]
            for name in names:
                await channels.publish(name, name)
            events = await take(reader, 100)
            assert told(events) == names
            assert {channels.subscribers(name) for name in names} == {1}
            half = channels.subscribe(*names, after=events[49].id, caught_up=True)
            assert told(await take(half, 51)) == [*names[50:], "caught-up"]
            await reader.aclose()
            await half.aclose()
            assert {channels.subscribers(name) for name in names} == {0}

        run(work())


def test_fresh_client_can_come_back_to_where_it_began() -> None:
    """The cursor event has an id although nothing was published."""

    async def work() -> None:
        channels = Channels(MemoryLog())
        reader = channels.subscribe("a")
        cursor = (await take(reader, 1))[0]
        assert (cursor.event, cursor.data) == ("cursor", {})
        await reader.aclose()
        await publish(channels, "a", 1)
        again = channels.subscribe("a", after=cursor.id)
        assert told(await take(again, 1)) == [1]
        await again.aclose()

    run(work())


def test_client_that_begins_with_the_oldest_gets_all_and_no_cursor() -> None:
    """Nothing that it could miss lies before its first event."""

    async def work() -> None:
        channels, _ = await ten()
        reader = channels.subscribe("orders", start="oldest", caught_up=True)
        assert told(await take(reader, 6)) == [*KEPT, "caught-up"]
        await reader.aclose()
        assert (await opened(channels, "orders")) is not None

    run(work())
