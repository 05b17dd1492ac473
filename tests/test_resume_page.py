"""docs/resume.md: its blocks run as they stand there, and its tables are replayed against the library."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, get_args

import pytest

from streamkit import Event, EventDecoder
from streamkit.channels import Channels, Log, MemoryLog, SQLiteLog, Subscription
from streamkit.channels._history import Reason
from streamkit.channels._position import base36
from streamkit.channels.redis import RedisLog
from streamkit.testing import open_stream
from tests.rig.requirements import needs
from tests.rig.valkey import Valkey
from tests.test_how_to import BLOCK, run

TEXT = (Path(__file__).parents[1] / "docs" / "resume.md").read_text(encoding="utf-8")
SETUP, SNAPSHOT, PAGE_LOAD, VISIBLE = BLOCK.findall(TEXT)
(GAP,) = re.findall(r"^```http\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
HEAD = "it asks for what follows"
READER = {"Accept": "text/event-stream"}

MakeLog = Callable[..., Log]


def rows(head: str) -> list[list[str]]:
    """Return the cells of the table whose first heading is `head`, row by row."""
    lines = TEXT.partition(f"| {head} |")[2].splitlines()[2:]
    table = "\n".join(lines).partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


TABLE = rows(HEAD)
CELLS = [
    pytest.param(asked, on_gap, cell, id=f"{asked}-{on_gap}")
    for asked, *cells in TABLE
    for on_gap, cell in zip(("oldest", "live", "function"), cells, strict=True)
]


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """One server for all tests; each log has a prefix of its own."""
    with Valkey() as server:
        yield server


_numbers = count()


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=needs("redis", "valkey"))])
def make_log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeLog]:
    """Make logs that keep five events; each has a place of its own, and its time is so many seconds ago."""
    made: list[Log] = []

    def make(ago: float = 0.0) -> Log:
        options: dict[str, Any] = {"max_events": 5, "now": lambda: time.time() - ago}
        if request.param == "memory":
            made.append(MemoryLog(**options))
        elif request.param == "sqlite":
            made.append(SQLiteLog(tmp_path / f"{len(made)}.db", **options))
        else:
            url = request.getfixturevalue("valkey").url
            made.append(RedisLog(url, prefix=f"page{next(_numbers)}", **options))
        return made[-1]

    yield make
    for log in made:
        log.close()


async def fill(channels: Channels) -> dict[int, str]:
    """Publish 1 to 10; return their ids."""
    return {number: await channels.publish("orders", number) for number in range(1, 11)}


def later(id: str) -> str:
    """Return the id of an event 57 that the log has never had: it comes after all that there are."""
    channel, epoch, _, tag = id.split(".")
    return f"{channel}.{epoch}.57.{base36(int(tag, 36) + 10**9)}"


async def asked_for(text: str, log: Log, make_log: MakeLog) -> tuple[Channels, str | None]:
    """Return channels with ten events, and the id that a row of the table means."""
    channels = Channels(log)
    if "that was lost since" in text:
        before = await fill(Channels(make_log(ago=1.0)))
        await fill(channels)
        return channels, before[3]
    ids = await fill(channels)
    if text.startswith("an id of another channel"):
        return channels, await channels.publish("another", "x")
    if text.startswith("nothing"):
        return channels, None
    number = re.match(r"\d+", text)
    if number is None:
        return channels, {"garbage": "garbage", "an empty id": ""}[text]
    return channels, ids.get(int(number[0])) or later(ids[10])


async def sent(channels: Channels, subscription: Subscription) -> list[str]:
    """Return what a client is sent in the words of the table; 11 is published when it has caught up."""
    words: list[str] = []
    async for event in subscription:
        if event.event == "caught-up":
            await channels.publish("orders", 11)
        elif event.event is None:
            words.append(str(event.data))
        else:
            words.append(f"gap:{event.data['reason']}" if event.event == "gap" else event.event)
        if event.data == 11:
            return words
    raise AssertionError(f"the stream ended after {words}")


@pytest.mark.parametrize(("asked", "on_gap", "cell"), CELLS)
def test_cell_of_the_decision_table_is_what_is_sent(asked: str, on_gap: Any, cell: str, make_log: MakeLog) -> None:
    """Each row against each policy, on each log."""

    async def replay() -> list[str]:
        channels, after = await asked_for(asked, make_log(), make_log)
        policy = (lambda gap: "state") if on_gap == "function" else on_gap
        start: Any = "oldest" if 'start="oldest"' in asked else "live"
        subscription = channels.subscribe("orders", after=after, on_gap=policy, start=start, caught_up=True)
        return await asyncio.wait_for(sent(channels, subscription), 10)

    assert asyncio.run(replay()) == cell.split()


def test_table_has_every_row_that_was_asked_for() -> None:
    """A row that is dropped from the page is missed here."""
    begins = ["8", "10", "5", "3", "57", "3", "garbage", "an", "an", "nothing", "nothing"]
    assert [re.split("[ ,:]", asked)[0] for asked, *_ in TABLE] == begins


async def first(events: AsyncIterator[Event], count: int) -> list[Event]:
    """Return the first events of a stream."""
    return [await asyncio.wait_for(anext(events), 10) for _ in range(count)]


def test_gap_event_is_as_shown(make_log: MakeLog) -> None:
    """Its fields, its ids but for the times in them, and an id from which nobody is told of a second gap."""
    (shown,) = EventDecoder().feed(GAP.encode() + b"\n")

    def places(*ids: str | None) -> list[str]:
        return [str(text).split(".")[part] for text in ids for part in (0, 2)]  # the channel and the offset

    async def main() -> None:
        channels = Channels(make_log())
        ids = await fill(channels)
        (gap,) = await first(channels.subscribe("orders", after=ids[3]), 1)
        assert gap.data == {"requested": ids[3], "oldest": ids[5], "reason": "evicted"}
        assert gap.id == ids[5]
        data = json.loads(shown.data)
        assert (shown.event, list(data), data["reason"]) == (gap.event, list(gap.data), "evicted")
        assert places(shown.id, data["requested"], data["oldest"]) == places(ids[5], ids[3], ids[5])
        again = await first(channels.subscribe("orders", after=gap.id), 5)
        assert [event.data for event in again] == [6, 7, 8, 9, 10]

    asyncio.run(main())


def test_reasons_are_those_of_the_library() -> None:
    """The table names each, and no other."""
    assert [row[0].strip("`") for row in rows("reason")] == list(get_args(Reason))


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Run all blocks of the page in a directory of their own; return their names."""
    monkeypatch.chdir(tmp_path)
    names = run(SETUP, SNAPSHOT, PAGE_LOAD, VISIBLE)
    yield names
    names["channels"].close()


def read(app: Any, target: str, count: int) -> list[Event]:
    """Return the first events that a view streams."""
    with open_stream(app, "GET", target, headers=READER) as events:
        return events.take(count)


def test_snapshot_comes_with_the_id_that_the_gap_lacks(app: dict[str, Any]) -> None:
    """Whoever is cut off between the two gets both again."""
    position = app["channels"].publish_sync("orders", {"number": 7})
    gap, snapshot = read(app["app"], "/orders/state?last_event_id=garbage", 2)
    assert (gap.event, gap.id) == ("gap", None)
    assert (snapshot.event, snapshot.id) == ("all-orders", position)
    assert snapshot.data == '{"orders":{"7":"paid"},"because":"unknown"}'


def test_page_is_rendered_with_the_position_of_its_stream(app: dict[str, Any]) -> None:
    """What is published after the page and before the stream is the first that is sent."""
    app["channels"].publish_sync("orders", {"number": 6})
    page = app["app"].test_client().get("/").text
    app["channels"].publish_sync("orders", {"number": 7})
    found = re.search(r'data-position="([^"]+)"', page)
    assert found is not None
    (event,) = read(app["app"], f"/orders?last_event_id={found[1]}", 1)
    assert event.data == '{"number":7}'


def test_hidden_events_are_not_sent(app: dict[str, Any]) -> None:
    """Neither their data nor their ids; who comes back behind them has them hidden again."""
    position = app["channels"].position_sync("orders")
    for customer in ("ann", "bob", "ann"):
        app["channels"].publish_sync("orders", {"customer": customer})
    events = read(app["app"], f"/my-orders/ann?last_event_id={position}", 2)
    assert [event.data for event in events] == ['{"customer":"ann"}'] * 2
    assert [event.data for event in read(app["app"], f"/my-orders/ann?last_event_id={events[0].id}", 1)] == [
        '{"customer":"ann"}'
    ]


def test_cursor_moves_an_id_before_the_log_overtakes_it(make_log: MakeLog) -> None:
    """After a quarter of what the log keeps, here two of five."""

    async def main() -> None:
        channels = Channels(make_log())
        position = await channels.position("orders")
        await channels.publish("orders", "hidden")
        id = await channels.publish("orders", "hidden")
        (cursor,) = await first(channels.subscribe("orders", after=position, visible=lambda _: False), 1)
        assert (cursor.event, cursor.id) == ("cursor", id)

    asyncio.run(main())


def test_one_false_gap_is_left() -> None:
    """As the page admits: a hidden event that became too old, with nothing after it."""
    now = [1000.0]

    async def main() -> None:
        channels = Channels(MemoryLog(max_age=100, now=lambda: now[0]))
        position = await channels.position("orders")
        await channels.publish("orders", "hidden")
        now[0] += 150
        (gap,) = await first(channels.subscribe("orders", after=position, visible=lambda _: False), 1)
        assert gap.data["reason"] == "evicted"

    asyncio.run(main())


def test_several_channels_share_an_id_and_resume_each_by_itself(make_log: MakeLog) -> None:
    """A position for each; a gap names its channel; a channel that is new to the page begins now."""

    async def main() -> None:
        channels = Channels(make_log())
        ids = await fill(channels)
        both = f"{ids[3]},{await channels.position('prices')}"
        await channels.publish("prices", "p")
        events = await first(channels.subscribe("orders", "prices", after=both), 7)
        assert events[0].event == "gap"
        assert events[0].data["channel"] == "orders"
        assert [event.data for event in events[1:]] == [6, 7, 8, 9, 10, "p"]
        assert len(str(events[-1].id).split(",")) == 2
        one_more = await first(channels.subscribe("orders", "prices", after=ids[10]), 1)
        assert one_more[0].event == "cursor"

    asyncio.run(main())


class TestSurvival:
    """The rows of the last table that need no second machine; the logs' own tests have the others."""

    async def resumed(self, log: Log, after: str) -> list[str]:
        """Return what a client gets that comes back to a process which was started since, and then 11."""
        channels = Channels(log)
        try:
            return await asyncio.wait_for(sent(channels, channels.subscribe("orders", after=after, caught_up=True)), 10)
        finally:
            channels.close()

    def publish(self, log: Log, *numbers: int) -> list[str]:
        """Publish numbers; return their ids."""
        return [Channels(log).publish_sync("orders", number) for number in numbers]

    def backup(self, path: Path) -> Path:
        """Make a backup as SQLite has it made."""
        copy = path.with_suffix(".backup")
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        return copy

    def test_memory_log_is_lost_with_its_process_and_that_is_told(self) -> None:
        """The next process has another history."""
        (id,) = self.publish(MemoryLog(), 1)
        assert asyncio.run(self.resumed(MemoryLog(), id)) == ["gap:reset", "11"]

    def test_sqlite_log_keeps_what_was_published(self, tmp_path: Path) -> None:
        """A restart goes unnoticed."""
        log = SQLiteLog(tmp_path / "events.db")
        id, _ = self.publish(log, 1, 2)
        log.close()
        assert asyncio.run(self.resumed(SQLiteLog(tmp_path / "events.db"), id)) == ["2", "11"]

    def test_deleted_file_is_told(self, tmp_path: Path) -> None:
        """Nothing of it is left, and who comes back hears so."""
        log = SQLiteLog(tmp_path / "events.db")
        id, _ = self.publish(log, 1, 2)
        log.close()
        for file in tmp_path.glob("events.db*"):
            file.unlink()
        assert asyncio.run(self.resumed(SQLiteLog(tmp_path / "events.db"), id)) == ["gap:reset", "11"]

    def test_restored_backup_is_told_by_a_process_that_knew(self, tmp_path: Path) -> None:
        """To who had seen what is lost, and to who had not; the publisher has lived through it."""
        log = SQLiteLog(tmp_path / "events.db")
        ids = self.publish(log, 1, 2, 3)
        copy = self.backup(tmp_path / "events.db")
        ids += self.publish(log, 4, 5)
        copy.rename(tmp_path / "events.db")
        self.publish(log, 6)
        log.close()
        for after, got in ((ids[1], ["3", "gap:reset", "6", "11"]), (ids[4], ["gap:reset", "6", "11"])):
            other = self.backup(tmp_path / "events.db")  # each reader has a log of its own to add 11 to
            other = other.rename(tmp_path / f"{after}.db")
            assert asyncio.run(self.resumed(SQLiteLog(other), after)) == got

    def test_restored_backup_that_nobody_knew_is_told_to_those_who_had_seen_more(self, tmp_path: Path) -> None:
        """The limit that the page admits: who had not seen 4 and 5 goes on as if they had never been."""
        log = SQLiteLog(tmp_path / "events.db")
        ids = self.publish(log, 1, 2, 3)
        copy = self.backup(tmp_path / "events.db")
        ids += self.publish(log, 4, 5)
        log.close()
        for after, got in ((ids[1], ["3", "11"]), (ids[4], ["gap:reset", "11"])):
            restored = tmp_path / f"{after}.db"
            restored.write_bytes(copy.read_bytes())
            assert asyncio.run(self.resumed(SQLiteLog(restored), after)) == got
