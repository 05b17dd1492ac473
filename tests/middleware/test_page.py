"""docs/middleware.md: each line of its block, on the app that it is for."""

from __future__ import annotations

import importlib
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamkit.testing import open_stream
from tests.pages import ROOT, blocks
from tests.rig.requirements import needs

(BLOCK,) = [block.text for block in blocks(ROOT / "docs" / "middleware.md")]
ADD, WRAP, FLASK, DJANGO = BLOCK.splitlines()
ITEM = "data: 1\n\n"
TYPE = "text/event-stream"


def with_middleware(line: str, app: Any, module: str) -> Any:
    """Run a line of the page on an app, with the middleware of a module that the line names; return the app."""
    assert module in line
    names: dict[str, Any] = {"app": app, "StreamingMiddleware": importlib.import_module(module).StreamingMiddleware}
    exec(line, names)
    return names["app"]


def streams(app: Any) -> bool:
    """Say whether the app's stream has what the middleware gives, and is whole."""
    with open_stream(app, "GET", "/") as events:
        assert [event.data for event in events] == ["1"]
        return events.headers.get("x-accel-buffering") == "no"


async def item() -> AsyncIterator[str]:
    """Give one event."""
    yield ITEM


@needs("fastapi")
@pytest.mark.parametrize("kind", ["fastapi", "starlette"])
def test_line_that_adds_it(kind: str) -> None:
    """FastAPI and Starlette."""
    from fastapi import FastAPI
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    def stream(request: Any = None) -> StreamingResponse:
        return StreamingResponse(item(), media_type=TYPE)

    app: Any = Starlette(routes=[Route("/", stream)])
    if kind == "fastapi":
        app = FastAPI()
        app.add_api_route("/", stream)
    assert streams(with_middleware(ADD, app, f"streamkit.{kind}"))


def test_line_that_wraps_an_asgi_app() -> None:
    """Whatever made it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", TYPE.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": ITEM.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    assert streams(with_middleware(WRAP, app, "streamkit.asgi"))


@needs("flask")
@pytest.mark.parametrize("module", ["streamkit.flask", "streamkit.wsgi"])
def test_line_that_wraps_what_flask_has_inside(module: str) -> None:
    """With the middleware of either name."""
    from flask import Flask, Response

    app = Flask("page")
    app.add_url_rule("/", "stream", lambda: Response(iter([ITEM]), mimetype=TYPE))
    assert streams(with_middleware(FLASK, app, module).test_client())


@needs("django")
def test_line_of_djangos_settings() -> None:
    """The name leads to the middleware."""
    from django.http import StreamingHttpResponse
    from django.test import Client, override_settings
    from django.urls import path

    (name,) = re.findall(r'^MIDDLEWARE = \["(.+)"\]', DJANGO)
    patterns = (path("", lambda request: StreamingHttpResponse(iter([ITEM]), content_type=TYPE)),)
    with override_settings(ROOT_URLCONF=patterns, MIDDLEWARE=[name]):
        assert streams(Client())
