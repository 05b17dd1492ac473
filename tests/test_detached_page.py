"""docs/detached.md: its blocks run as they stand there, by WSGI, by ASGI and in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import pytest

from streamkit import Event, EventDecoder
from streamkit.channels import Detached, SQLiteLog, Status
from streamkit.channels._ends import End, end_payload
from streamkit.channels._entry import read_payload
from tests.rig.browser import headless_chromium
from tests.rig.requirements import needs
from tests.test_how_to import BLOCK, run
from tests.test_readme import served

PAGE = Path(__file__).parents[1] / "docs" / "detached.md"
TEXT = PAGE.read_text(encoding="utf-8")
SETUP, ASYNC, LONG = BLOCK.findall(TEXT)
(EVENT_SOURCE,) = re.findall(r"^```html\n<script>\n(.*?)</script>\n```$", TEXT, re.DOTALL | re.MULTILINE)
(FETCH,) = re.findall(r"^```js\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
READ_EVENTS = Path(__file__).parents[1] / "examples" / "flask" / "static" / "stream.js"

Names = dict[str, Any]


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """Run the blocks in a directory of their own; return their names."""
    monkeypatch.chdir(tmp_path)
    names = run(SETUP, ASYNC, LONG)
    yield names
    for name in ("detached", "long_answers"):
        names[name].log.close()


@pytest.fixture
def address() -> str:
    """Return where an answer is that nobody has started."""
    return f"/answers/{uuid4()}"


def events(body: bytes) -> list[Event]:
    """Return the events of a body."""
    return EventDecoder().feed(body)


def test_answer_is_started_once_read_from_anywhere_and_over(names: Names, address: str) -> None:
    """200 with all of it or the rest of it, 204 after its end, 404 where none is."""
    client = names["app"].test_client()
    assert client.get(address).status_code == 404
    for prompt in ("Why?", "What?"):
        assert client.put(address, json={"prompt": prompt}).status_code == 202
    whole = events(client.get(address).data)
    assert [json.loads(event.data) for event in whole] == ["You ", "asked:\n", "Why?", ""]
    assert whole[-1].event == "done"
    rest = client.get(address, headers={"Last-Event-ID": str(whole[1].id)})
    assert events(rest.data) == whole[2:]
    assert client.get(address, headers={"Last-Event-ID": str(whole[-1].id)}).status_code == 204
    assert client.delete(address).status_code == 204
    assert events(client.get(address).data) == whole


@needs("fastapi")
def test_async_block_starts_the_same_and_closes_at_the_end(names: Names, address: str) -> None:
    """The lifespan waits for what runs; the answer is there for the next process."""
    from fastapi.testclient import TestClient

    with TestClient(names["api"]) as client:
        assert client.put(address, params={"prompt": "Why?"}).status_code == 202
    key = address.rpartition("/")[2]
    log = SQLiteLog("answers.db")
    assert Detached(log).status_sync(key).state == "done"
    log.close()


@pytest.mark.parametrize("end", get_args(End))
def test_table_says_what_each_end_sends(end: End) -> None:
    """Type and data are those of the library."""
    event = read_payload(end_payload(end), "1")
    data = '`""`' if event.data == "" else f"`{json.dumps(event.data)}`"
    (row,) = re.findall(rf"^\| `{end}` \|.*$", TEXT, re.MULTILINE)
    assert event.event == end
    assert row.endswith(f"| {data} |")


def test_status_codes_are_those_of_the_library() -> None:
    """Each has its row, and there is no other."""
    codes = [Status("running", False).code, Status("done", True).code, Status("unknown", False).code]
    assert re.findall(r"^\| ([0-9]{3}) \|", TEXT, re.MULTILINE) == [str(code) for code in codes]


def test_options_of_the_page_are_those_of_the_library(names: Names) -> None:
    """Its defaults too."""
    options = signature(Detached).parameters
    assert f"`grace`, {options['grace'].default:g} seconds unless" in TEXT
    assert f"a *lease*, {options['lease'].default:g} seconds unless" in TEXT
    assert options["at_limit"].default == "fail"
    assert 'With `at_limit="fail"`, the default' in TEXT
    assert names["long_answers"].log.max_age == 24 * 3600


def test_own_text_of_an_error_is_what_readers_get(names: Names) -> None:
    """And not the exception's."""

    def busy() -> Iterator[str]:
        yield "a"
        raise TimeoutError("secret")

    names["long_answers"].start_sync("k", busy())
    names["app"].add_url_rule("/long", "long", lambda: names["EventStreamResponse"](names["long_answers"].attach("k")))
    *_, failed = events(names["app"].test_client().get("/long").data)
    assert (failed.event, failed.data) == ("failed", '{"error":"The model is busy."}')


@pytest.mark.servers
@pytest.mark.browser
@needs("playwright", "chromium", "werkzeug")
@pytest.mark.parametrize("way", ["EventSource", "fetch"])
def test_page_reads_an_answer_to_its_end(names: Names, address: str, way: str) -> None:
    """Both blocks show each item once and say how it ended; of an unknown key they say so and stop."""
    code = EVENT_SOURCE if way == "EventSource" else READ_EVENTS.read_text().replace("export ", "") + FETCH
    names["app"].add_url_rule("/", "page", lambda: f"<script>{code}</script><link rel=icon href=data:,>")
    key = address.rpartition("/")[2]
    call = {
        "EventSource": "new Promise((told) => follow(key, show, told))",
        "fetch": "follow(key, show)",
    }[way]
    script = f"async (key) => {{ const shown = [], show = (x) => shown.push(x); return [await {call}, shown] }}"
    with served(names["app"]) as url, headless_chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(15_000)
        page.goto(url)
        start = {"method": "PUT", "headers": {"Content-Type": "application/json"}, "body": '{"prompt": "Why?"}'}
        page.evaluate("([at, start]) => fetch(at, start)", [address, start])
        assert page.evaluate(script, key) == ["done", ["You ", "asked:\n", "Why?"]]
        assert page.evaluate(script, str(uuid4())) == ["unknown" if way == "EventSource" else 404, []]
