"""The table of docs/explanation.md: each row is sent to Chromium's EventSource, and to our own decoder."""

from __future__ import annotations

import ast
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from streamkit import EventDecoder
from tests.rig.browser import headless_chromium
from tests.rig.requirements import needs

TEXT = (Path(__file__).parents[1] / "docs" / "explanation.md").read_text(encoding="utf-8")
TABLE = TEXT.partition("<!-- heard -->")[2].partition("<!-- /heard -->")[0]
ROWS = re.findall(r"^\| `(.*?)` \| (.*) \|$", TABLE, re.MULTILINE)
HEARD = re.compile(r"`(\w+)` `(\".*?\")`(?: after id `(\".*?\")`)?")

# Reads one stream after the other, each to its end, of which EventSource says `error`.
SCRIPT = """async (count) => {
  const read = (path) => new Promise((done) => {
    const heard = [], source = new EventSource(path);
    for (const type of ["message", "note"])
      source.addEventListener(type, (event) => heard.push([event.type, event.data, event.lastEventId]));
    source.onerror = () => { source.close(); done(heard); };
  });
  const all = [];
  for (let row = 0; row < count; row++) all.push(await read(`/${row}`));
  return all;
}"""


def sent(row: tuple[str, str]) -> bytes:
    """Return the bytes of a row, which are written as Python has them."""
    return str(ast.literal_eval(f"'{row[0]}'")).encode()


def heard(row: tuple[str, str]) -> list[list[str]]:
    """Return type, data and last event ID of each event that a row promises."""
    if row[1] == "nothing":
        return []
    found = HEARD.findall(row[1])
    assert ", ".join(match[0] for match in HEARD.finditer(row[1])) == row[1]
    return [[kind, json.loads(data), json.loads(last) if last else ""] for kind, data, last in found]


class Rows(BaseHTTPRequestHandler):
    """Answers /N by the bytes of row N, and / by an empty page."""

    def do_GET(self) -> None:
        """Answer one request, and close the connection."""
        name = self.path.removeprefix("/")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if name.isdecimal() else "text/html")
        self.end_headers()
        if name.isdecimal():
            self.wfile.write(sent(ROWS[int(name)]))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    """Serve the rows."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Rows)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_decoder_hears_what_the_table_says(row: tuple[str, str]) -> None:
    """Its events have the type, the data and the last event ID of the row."""
    decoder = EventDecoder()
    events = [*decoder.feed(sent(row)), *decoder.close()]
    assert [[event.event or "message", event.data, event.id or ""] for event in events] == heard(row)


@pytest.mark.servers
@pytest.mark.browser
@needs("playwright", "chromium")
def test_browser_hears_what_the_table_says(address: str) -> None:
    """So does EventSource."""
    with headless_chromium() as browser:
        page = browser.new_page()
        page.goto(address)
        got = page.evaluate(SCRIPT, len(ROWS))
    assert len(ROWS) > 15
    assert dict(zip((row[0] for row in ROWS), got, strict=True)) == {row[0]: heard(row) for row in ROWS}
