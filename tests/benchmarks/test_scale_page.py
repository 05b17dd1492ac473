"""docs/scale.md: its tables and its picture are what the script makes of the measured costs, and its blocks run."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from benchmarks.scale.__main__ import PAGE, PICTURE, main, placed
from benchmarks.scale.costs import load
from benchmarks.scale.picture import draw
from benchmarks.scale.storm import simulate
from benchmarks.scale.tables import TABLES, cases, simulated
from streamkit import EventDecoder
from tests.channels.streams import until
from tests.rig.asgi import ASGIHost
from tests.rig.requirements import needs
from tests.rig.valkey import Valkey
from tests.test_how_to import BLOCK, run

TEXT = PAGE.read_text(encoding="utf-8")
SHARDS, RANDOM, RANDOM_VIEW, GRIP, MERCURE = BLOCK.findall(TEXT)
WITHIN = 30.0

Names = dict[str, Any]


def test_tables_are_what_the_script_makes_of_the_costs() -> None:
    """To the character: `python -m benchmarks.scale --write` puts them there."""
    assert placed(TEXT, load()) == TEXT


def test_picture_is_what_the_script_draws() -> None:
    """To the character, too."""
    assert PICTURE.read_text(encoding="utf-8") == draw(load())


def test_script_prints_the_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As they stand in the page."""
    monkeypatch.setattr("sys.argv", ["scale"])
    main()
    printed = capsys.readouterr().out
    assert all(table(load()) in printed for table in TABLES.values())


def test_page_without_a_place_for_a_table_is_refused() -> None:
    """A table that nobody sees would grow old."""
    with pytest.raises(ValueError, match="one place for the table 'costs'"):
        placed(TEXT.replace("<!-- /costs -->", ""), load())


def test_simulation_has_every_client_of_the_measured_restart() -> None:
    """They are compared one by one, so none may be missing on either side."""
    for seen in load().restarts:
        assert sum(seen.connects) == seen.clients == len(simulated(load(), seen).begun)


def test_settings_that_the_page_calls_flat_are_and_those_it_warns_of_are_not() -> None:
    """The words of the page hold for the numbers above them, also when these are measured anew."""
    waits = [simulate(case.storm).longest for case in cases(load())]
    all_at_once, at_random, untold, told = waits[:4], waits[4], waits[5:7], waits[7:]
    assert all(one > 2 for one in all_at_once + untold), waits
    assert at_random < 0.5, waits
    assert all(one < 0.5 for one in told), waits


@needs("valkey", "redis")
def test_channels_are_spread_over_servers_by_their_names() -> None:
    """What is published by a name is read by it, and each of two servers has some of twenty."""
    with Valkey() as first, Valkey() as second:
        urls = [first.url, second.url]
        names = run(SHARDS.replace('["redis://127.0.0.1:6379/0", "redis://127.0.0.1:6380/0"]', repr(urls)))

        async def publish_and_read() -> list[str]:
            found = []
            for user in range(20):
                await names["notify"](user, f"hello {user}")
                events = names["channels_of"](f"user:{user}").subscribe(f"user:{user}", start="oldest")
                found.append((await anext(events)).data)
                await events.aclose()
            return found

        try:
            found = asyncio.run(asyncio.wait_for(publish_and_read(), WITHIN))
        finally:
            for channels in names["shards"]:
                channels.close()
        assert found == [f"hello {user}" for user in range(20)]
        assert all(server.do("DBSIZE") > 0 for server in (first, second))


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Names]]:
    """Run blocks in a folder of their own; close their channels in the end."""
    monkeypatch.chdir(tmp_path)
    ran: list[Names] = []

    def run_there(*blocks: str) -> Names:
        ran.append(run(*blocks))
        return ran[-1]

    yield run_there
    for names in ran:
        names["channels"].close()


def test_each_stream_is_told_a_time_of_its_own(in_folder: Callable[..., Names]) -> None:
    """Between one second and a minute, with its first event; not two of thirty are alike, or hardly."""
    names = in_folder("from streamkit.channels import Channels\n", RANDOM, RANDOM_VIEW)
    with ASGIHost(names["app"]) as host:
        told = [_told(host) for _ in range(30)]
    assert all(1_000 <= retry < 60_000 for retry in told)
    assert len(set(told)) > 20


def _told(host: ASGIHost) -> int:
    """Return the `retry` of one stream."""
    with host.open("/orders", headers={"Accept": "text/event-stream"}) as stream:
        stream.read_until(b"retry: ", WITHIN)
        body = stream.read_until(b"\n\n", WITHIN)
    (retry,) = re.findall(rb"^retry: (\d+)$", body, re.MULTILINE)
    return int(retry)


def _events(body: bytes) -> list[tuple[str | None, str]]:
    decoder = EventDecoder()
    return [(event.id, event.data) for event in decoder.feed(body)]


def test_grip_view_answers_with_what_was_missed_and_how_to_hold(in_folder: Callable[..., Names]) -> None:
    """By the client's id, and by the one that the proxy asks with; the last id is where the proxy goes on."""
    names = in_folder(GRIP)
    ids = [names["channels"].publish_sync("orders", {"n": number}) for number in (1, 2, 3)]

    async def ask(headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(names["app"])
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return await client.get("/orders", headers=headers)

    missed = [(ids[1], '{"n":2}'), (ids[2], '{"n":3}')]
    for headers in ({"Last-Event-ID": ids[0]}, {"Grip-Last": f"orders; last-id={ids[0]}"}):
        answer = asyncio.run(asyncio.wait_for(ask(headers), WITHIN))
        assert _events(answer.content) == missed
        assert answer.headers["grip-hold"] == "stream"
        assert answer.headers["grip-channel"] == f"orders; prev-id={ids[2]}"
        assert answer.headers["content-type"].startswith("text/event-stream")
    answer = asyncio.run(asyncio.wait_for(ask({"Last-Event-ID": ids[2]}), WITHIN))
    assert answer.content == b""
    assert answer.headers["grip-channel"] == f"orders; prev-id={ids[2]}"


class _Taken(ThreadingHTTPServer):
    """What a control port or a hub was sent: bodies, and the Authorization of each."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Take)
        self.taken: list[tuple[bytes, str | None]] = []
        self.came = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def wait_for(self, count: int) -> None:
        """Wait until so many came."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.taken) >= count, WITHIN), self.taken


class _Take(BaseHTTPRequestHandler):
    server: _Taken

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.came:
            self.server.taken.append((body, self.headers["Authorization"]))
            self.server.came.notify_all()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def control() -> Iterator[_Taken]:
    """Serve a port that takes what is posted."""
    with _Taken() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(WITHIN)


def test_what_is_published_is_passed_on_with_the_id_before_it(in_folder: Callable[..., Names], control: _Taken) -> None:
    """So that the proxy finds out when one is missing; the content is the event as a stream would have it."""
    names = in_folder(GRIP)
    channels = names["channels"]

    async def main() -> list[str]:
        before = await channels.position("orders")
        passing = asyncio.create_task(names["pass_on"]("orders", control.url))
        await until(lambda: channels.subscribers("orders") > 0, WITHIN)
        ids = [before, *[await channels.publish("orders", {"n": number}) for number in (1, 2)]]
        await asyncio.to_thread(control.wait_for, 2)
        passing.cancel()
        await asyncio.gather(passing, return_exceptions=True)
        return ids

    ids = asyncio.run(asyncio.wait_for(main(), WITHIN))
    items = [json.loads(body)["items"][0] for body, _ in control.taken]
    assert [item["channel"] for item in items] == ["orders", "orders"]
    assert [(item["prev-id"], item["id"]) for item in items] == [(ids[0], ids[1]), (ids[1], ids[2])]
    frames = "".join(item["formats"]["http-stream"]["content"] for item in items)
    assert _events(frames.encode()) == [(ids[1], '{"n":1}'), (ids[2], '{"n":2}')]


def test_hub_is_sent_a_form_with_the_id_and_a_token(control: _Taken) -> None:
    """As Mercure's draft has it, section "Publication"."""
    run(MERCURE)["publish_to_hub"]("orders/7", {"n": 1}, hub=control.url, token="secret", event_id="a.b.1.c")
    ((body, authorization),) = control.taken
    assert authorization == "Bearer secret"
    assert parse_qs(body.decode()) == {
        "topic": ["orders/7"],
        "data": ['{"n": 1}'],
        "id": ["a.b.1.c"],
        "private": ["on"],
    }
