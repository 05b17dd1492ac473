"""docs/how-to/exports.md: each program gives every row and a last line, with flat memory; each reader reads it."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from streamkit.testing import open_stream
from tests.engine.interpreter import python
from tests.rig.node import node
from tests.rig.requirements import needs
from tests.test_how_to import PAGES, blocks_of, run
from tests.test_readme import served

PAGE = "exports.md"
TEXT = (PAGES / PAGE).read_text(encoding="utf-8")
(FLASK,) = blocks_of(PAGE, "Flask, with a cursor of the server")
(FASTAPI,) = blocks_of(PAGE, "FastAPI, page by page")
(DJANGO,) = blocks_of(PAGE, "Django")
(READER,) = blocks_of(PAGE, "Reading it")
(SCRIPT,) = re.findall(r"^```js\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
(SHELL,) = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)

T = TypeVar("T")

ROWS = 12_000
NOTE = "x" * 400
CENTS = sum(range(1, ROWS + 1))
HELD = 2 * 2**20
"""Bytes that an export may hold at once: its rows are more than twice as much."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fill a database once."""
    folder = tmp_path_factory.mktemp("shop")
    with sqlite3.connect(folder / "shop.db") as database:
        database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, cents INTEGER, note TEXT)")
        database.executemany("INSERT INTO orders VALUES (?, ?, ?)", ((n, n, NOTE) for n in range(1, ROWS + 1)))
    database.close()
    return folder


@pytest.fixture(autouse=True)
def inside(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where the database is."""
    monkeypatch.chdir(shop)


def held(read: Callable[[], T]) -> tuple[T, int]:
    """Return what `read` returns the second time, and the bytes that were held at most meanwhile."""
    read()  # what is made once for all requests does not count
    tracemalloc.start()
    try:
        return read(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@needs("flask")
def test_flask_block_holds_a_few_rows_at_a_time() -> None:
    """All are sent, and the last line says so."""
    names = run(FLASK)

    def read() -> tuple[int, bytes]:
        sent, last = 0, b""
        for chunk in names["app"].test_client().get("/orders.ndjson", buffered=False).response:
            sent += len(chunk)
            last = chunk[-18:]
        return sent, last

    (sent, last), most = held(read)
    assert sent > 2 * HELD > 2 * most
    assert last.endswith(b'{"complete":true}\n')
    names["engine"].dispose()


@needs("fastapi")
def test_fastapi_block_holds_a_few_rows_at_a_time() -> None:
    """And no connection to the database between its pages."""
    names = run(FASTAPI)
    (sent, last), most = held(lambda: asyncio.run(call(names["app"])))
    assert sent > 2 * HELD > 2 * most
    assert last.endswith(b'{"complete":true}\n')
    assert names["engine"].pool.checkedout() == 0
    names["engine"].dispose()


async def call(app: Any) -> tuple[int, bytes]:
    """Ask an ASGI app for the export, and keep nothing of it but how much it was and how it ended."""
    sent, last = 0, b""
    asked = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not asked:
            await asyncio.Event().wait()  # the client never leaves
        return asked.pop()

    async def send(message: dict[str, Any]) -> None:
        nonlocal sent, last
        body = message.get("body", b"")
        sent += len(body)
        last = (last + body)[-18:]

    scope = {"type": "http", "method": "GET", "path": "/orders.ndjson", "query_string": b"", "headers": []}
    await app(scope, receive, send)
    return sent, last


@needs("django")
def test_django_block_holds_a_few_rows_at_a_time(shop: Path) -> None:
    """Read by Django's handler for WSGI, in a process of its own."""
    (shop / "orders").mkdir(exist_ok=True)
    (shop / "orders" / "__init__.py").touch()
    (shop / "orders" / "models.py").write_text(MODEL, encoding="utf-8")
    (shop / "views.py").write_text(DJANGO, encoding="utf-8")
    out, _ = python("", prelude=DJANGO_READ)
    sent, most, last = out.splitlines()
    assert int(sent) > 2 * HELD > 2 * int(most)
    assert last == '{"complete":true}'


MODEL = """
from django.db import models

class Order(models.Model):
    id = models.AutoField(primary_key=True)
    cents = models.IntegerField()
    note = models.TextField()
    class Meta:
        db_table = "orders"
"""
DJANGO_READ = """
import os, sys, tracemalloc
sys.path.insert(0, os.getcwd())
from django.conf import settings
settings.configure(
    ALLOWED_HOSTS=["*"], INSTALLED_APPS=["orders"], ROOT_URLCONF="urls",
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}},
)
import django
django.setup()
from types import ModuleType
from django.test import Client
from django.urls import path
from views import export
sys.modules["urls"] = urls = ModuleType("urls")
urls.urlpatterns = [path("orders.ndjson", export)]

def read():
    sent = 0
    response = Client().get("/orders.ndjson")
    for chunk in response.streaming_content:
        sent += len(chunk)
    response.close()
    return sent, chunk

read()
tracemalloc.start()
sent, last = read()
print(sent, tracemalloc.get_traced_memory()[1], last.decode().splitlines()[-1], sep="\\n")
"""


@needs("flask")
def test_fifth_export_at_a_time_is_refused() -> None:
    """With 503, so that the pool of connections is not used up."""
    names = run(FLASK)
    client = names["app"].test_client()
    four = [client.get("/orders.ndjson", buffered=False) for _ in range(4)]
    for response in four:
        next(iter(response.response))
    assert client.get("/orders.ndjson").status_code == 503
    for response in four:
        response.close()
    names["engine"].dispose()


@pytest.mark.servers
@needs("flask", "httpx", "node", "curl")
def test_each_reader_adds_up_all_rows_and_notices_a_cut(shop: Path) -> None:
    """Python's, JavaScript's and the shell's, of a served app."""
    import httpx

    names = run(FLASK, READER)
    app, program = names["app"], shop / "total.mjs"

    def half() -> Any:
        yield {"id": 1, "cents": 1}
        raise OSError("the database has gone")

    app.add_url_rule("/half", "half", lambda: names["NDJSONResponse"](half(), end={"complete": True}))
    with served(app) as url:
        assert names["total"](f"{url}/orders.ndjson") == CENTS
        with pytest.raises(httpx.RemoteProtocolError):
            names["total"](f"{url}/half")
        for path, printed in (("orders.ndjson", str(CENTS)), ("half", "TypeError")):
            program.write_text(f'{SCRIPT}\ntotal("{url}/{path}").then(console.log, (error) => console.log(error.name))')
            done = subprocess.run([node(), str(program)], timeout=30, capture_output=True, text=True, check=True)
            assert done.stdout.strip() == printed
        for path, status in (("orders.ndjson", 0), ("half", 18)):
            command = SHELL.replace("http://127.0.0.1:8000/orders.ndjson", f"{url}/{path}")
            done = subprocess.run(
                command, shell=True, cwd=shop, timeout=30, capture_output=True, text=True, check=False
            )
            assert done.returncode == status
    names["engine"].dispose()


@needs("fastapi")
def test_last_line_is_the_same_in_each_block() -> None:
    """The readers of the page look for it."""
    with open_stream(run(FASTAPI)["app"], "GET", "/orders.ndjson", timeout=20) as rows:
        assert rows.headers["content-type"] == "application/x-ndjson"
        assert rows.take(2) == [{"id": 1, "cents": 1, "note": NOTE}, {"id": 2, "cents": 2, "note": NOTE}]
    for block in (FLASK, FASTAPI, DJANGO):
        assert re.search(r'end ?= ?\{"complete": True\}', block)
