"""Detached streams as views write them: `asgi` (Starlette, closed by its lifespan), `bare` (without), `flask_app`.

The log is a file that the environment names. `/start/KIND/KEY` starts a source and answers whether it did: `gated`
ends when the file `gate` beside the log appears, `silent` never. `/read/KEY`, `/cancel/KEY` and `/status/KEY` do what
they say. A path that begins with `/sync` has a sync source.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import flask
import starlette.responses
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

import streamkit.flask
import streamkit.starlette
from streamkit.channels import Detached, SQLiteLog
from tests.rig.sidedoor import open_side_door

LOG = "STREAMKIT_RIG_LOG"
GRACE = 2.0
LEASE = 600.0
"""Seconds; longer than any test waits, so that what is recorded as lost was not found by its lease."""

_path = Path(os.environ.get(LOG, "unused.db"))
detached = Detached(SQLiteLog(_path), lease=LEASE, grace=GRACE)
user: ContextVar[str] = ContextVar("user", default="nobody")


async def items(kind: str) -> AsyncIterator[str]:
    """Say who asked, then wait for the gate, or for ever."""
    yield user.get()
    while kind == "silent" or not (_path.parent / "gate").exists():  # noqa: ASYNC110 - a file sets no event
        await asyncio.sleep(0.02)
    yield "end"


def items_sync(kind: str) -> Iterator[str]:
    """Do the same in a thread; a silent one gives a comment's worth now and then, or it could not be ended."""
    yield user.get()
    while kind == "silent" or not (_path.parent / "gate").exists():
        time.sleep(0.02)
    yield "end"


async def _start(request: Request) -> starlette.responses.Response:
    user.set("ann")
    kind, key = request.path_params["kind"], request.path_params["key"]
    return starlette.responses.PlainTextResponse(str(await detached.start(key, items(kind))))


def _start_sync(request: Request) -> starlette.responses.Response:
    user.set("ann")
    kind, key = request.path_params["kind"], request.path_params["key"]
    return starlette.responses.PlainTextResponse(str(detached.start_sync(key, items_sync(kind))))


async def _read(request: Request) -> starlette.responses.Response:
    key, after = request.path_params["key"], streamkit.starlette.last_event_id(request)
    status = await detached.status(key, after)
    if status.code != 200:
        return starlette.responses.Response(status_code=status.code)
    return streamkit.starlette.EventStreamResponse(detached.attach(key, after))


async def _cancel(request: Request) -> starlette.responses.Response:
    return starlette.responses.PlainTextResponse(str(await detached.cancel(request.path_params["key"])))


async def _page(_: Request) -> starlette.responses.Response:
    return starlette.responses.HTMLResponse("<!doctype html><title>reader</title>")


ROUTES = [
    Route("/start/{kind}/{key}", _start),
    Route("/sync/start/{kind}/{key}", _start_sync),
    Route("/read/{key}", _read),
    Route("/cancel/{key}", _cancel),
    Route("/", _page),
]


@asynccontextmanager
async def _lifespan(_: Starlette) -> AsyncIterator[None]:
    yield
    await detached.close()


asgi = Starlette(routes=ROUTES, lifespan=_lifespan)
bare = Starlette(routes=ROUTES)
flask_app = flask.Flask(__name__)


@flask_app.get("/start/<kind>/<key>")
def _flask_start(kind: str, key: str) -> str:
    user.set(flask.request.args.get("user", "ann"))
    return str(detached.start_sync(key, items(kind)))


@flask_app.get("/sync/start/<kind>/<key>")
def _flask_start_sync(kind: str, key: str) -> str:
    user.set("ann")

    def source() -> Iterator[str]:
        assert flask.current_app.name == __name__
        assert flask.request.path == f"/sync/start/{kind}/{key}"
        yield from items_sync(kind)

    return str(detached.start_sync(key, source()))


@flask_app.get("/async/start/<kind>/<key>")
async def _flask_start_async(kind: str, key: str) -> str:
    user.set("ann")
    return str(await detached.start(key, items(kind)))


@flask_app.get("/read/<key>")
def _flask_read(key: str) -> Any:
    after = streamkit.flask.last_event_id(flask.request)
    status = detached.status_sync(key, after)
    if status.code != 200:
        return "", status.code
    return streamkit.flask.EventStreamResponse(detached.attach(key, after))


@flask_app.get("/cancel/<key>")
def _flask_cancel(key: str) -> str:
    return str(detached.cancel_sync(key))


open_side_door()
