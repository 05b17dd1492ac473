"""Resume is exact, or it says so: the table of ids, end to end, and where a client begins."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from streamkit import Event, EventDecoder
from streamkit.channels import Channels, MemoryLog
from streamkit.channels._position import checksum
from tests.channels.subscribed import TroubledLog, opened, publish, take, ten, told
from tests.engine.drive import Client, run, start
from tests.engine.lives import eventually


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
