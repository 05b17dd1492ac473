"""resume.md, shutting-down.md: their programs run. Their commands are run in test_commands."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from streamkit.testing import open_stream
from tests.engine.interpreter import python
from tests.rig.requirements import needs
from tests.test_how_to import blocks_of, run

CHANNEL, ROWS = blocks_of("resume.md")
GRACE, CLEANUP = blocks_of("shutting-down.md")


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a directory of its own."""
    monkeypatch.chdir(tmp_path)


@needs("flask")
def test_client_comes_back_to_another_worker_and_misses_nothing() -> None:
    """What a third process has published meanwhile is there."""
    one, two = run(CHANNEL), run(CHANNEL)
    with open_stream(one["app"], "GET", "/orders", timeout=20) as events:
        (cursor,) = events.take()
        one["app"].test_client().post("/orders/7")
        (paid,) = events.take()
        assert paid.json() == {"number": 7, "state": "paid"}
    python("", prelude=f"{CHANNEL}\napp.test_client().post('/orders/8')")
    for last, numbers in ((cursor.id, [7, 8]), (paid.id, [8])):
        headers = {"Last-Event-ID": str(last)}
        with open_stream(two["app"], "GET", "/orders", headers=headers, timeout=20) as events:
            assert [event.json()["number"] for event in events.take(len(numbers))] == numbers
    for names in (one, two):
        names["channels"].close()


@needs("fastapi")
def test_rows_are_resumed_by_their_own_ids() -> None:
    """After the one that the client names, and after anything else from the beginning."""
    with sqlite3.connect("shop.db") as database:
        database.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        database.executemany("INSERT INTO notes (text) VALUES (?)", [["a"], ["b"], ["c"]])
    database.close()
    api = run(ROWS)["api"]
    for last, ids in (("2", ["3"]), ("garbage", ["1", "2", "3"]), ("", ["1", "2", "3"])):
        with open_stream(api, "GET", "/notes", headers={"Last-Event-ID": last}, timeout=20) as events:
            assert [event.id for event in events.take(len(ids))] == ids


@needs("fastapi")
def test_cleanup_runs_once_at_each_end() -> None:
    """For a client that reads to the end and for one that leaves; `on_close` is told why."""
    names = run(GRACE, CLEANUP)
    assert names["Answer"].policy.grace == 20

    async def test() -> None:
        async with open_stream(names["app"], "GET", "/answer", timeout=20) as events:
            assert [event.data for event in await events.take(3)] == ["so", "it", "goes"]
            await events.wait_closed()
        async with open_stream(names["app"], "GET", "/answer", timeout=20) as events:
            await events.take()

    asyncio.run(test())
    assert names["ends"] == ["completed", "disconnected"]
    assert names["saved"][0] == ["so", "it", "goes"]
    assert len(names["saved"]) == 2
