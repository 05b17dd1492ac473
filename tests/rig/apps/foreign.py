"""Streams made without streamkit, by each framework in its own way, inside the ASGI middleware.

`/<framework>/<scenario>` streams a source of SCENARIOS. The last middleware in the list of servers is ours; between it
and the framework there is nothing, except in "starlette-around", where Starlette's `BaseHTTPMiddleware` is.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, cast

import django
import sse_starlette
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import StreamingHttpResponse
from django.urls import path as django_path
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent
from litestar import Litestar
from litestar import Request as LitestarRequest
from litestar import get as litestar_get
from litestar.response import Stream as LitestarStream
from quart import Quart
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import StreamingResponse
from starlette.routing import Route

from streamkit.asgi import StreamingMiddleware
from tests.rig.asgi import answer_lifespan
from tests.rig.recorder import recorder
from tests.rig.sidedoor import open_side_door

# It would end its streams by itself, within half a second of a signal, and cancel what their cleanup awaits. Releases
# that cannot be told so are those for the oldest Starlette, which no test of a signal serves.
if leave_it_to_us := getattr(sse_starlette.sse.AppStatus, "disable_automatic_graceful_drain", None):
    leave_it_to_us()

FAILURE = "planned failure"
CLEANED_UP = "an idle source has cleaned up"

_POLL = 0.005


async def idle(frame: Callable[[int], Any]) -> AsyncIterator[Any]:
    """Yield one item and wait for ever."""
    try:
        async with recorder.recording("idle") as record:
            yield frame(record.pull(1))
            while not record.released:  # noqa: ASYNC110 - the side door may be in any thread
                await asyncio.sleep(_POLL)
    finally:
        await asyncio.sleep(0.05)
        sys.stderr.write(f"{CLEANED_UP}\n")  # the server's log outlives the server


async def spinning(frame: Callable[[int], Any]) -> AsyncIterator[Any]:
    """Yield items for ever, never awaiting."""
    async with recorder.recording("spinning") as record:
        while not record.released:
            yield frame(record.pull(record.pulled))


async def finite(frame: Callable[[int], Any]) -> AsyncIterator[Any]:
    """Yield three items and end."""
    async with recorder.recording("finite") as record:
        for number in range(1, 4):
            yield frame(record.pull(number))
            await asyncio.sleep(0)


async def failing(frame: Callable[[int], Any]) -> AsyncIterator[Any]:
    """Yield one item and raise."""
    async with recorder.recording("failing") as record:
        yield frame(record.pull(1))
        await asyncio.sleep(_POLL)
        raise RuntimeError(FAILURE)


def failing_sync(frame: Callable[[int], Any]) -> Iterator[Any]:
    """Yield one item and raise, in a thread."""
    yield frame(1)
    raise RuntimeError(FAILURE)


SCENARIOS: dict[str, Callable[[Callable[[int], Any]], Any]] = {
    "idle": idle,
    "spinning": spinning,
    "finite": finite,
    "failing": failing,
    "failing_sync": failing_sync,
}


def text(number: int) -> str:
    """Return an event as text, with an id."""
    return f"id: {number}\ndata: {number}\n\n"


def _fastapi() -> FastAPI:
    app = FastAPI()
    for name, source in SCENARIOS.items():
        sse = partial(source, lambda number: ServerSentEvent(data=number, id=str(number)))
        lines = partial(source, lambda number: number)
        app.get(f"/fastapi-sse/{name}", response_class=EventSourceResponse)(sse)
        app.get(f"/fastapi-jsonl/{name}")(lines)
    return app


def _starlette() -> Starlette:
    async def plain(request: Any) -> Any:
        return StreamingResponse(SCENARIOS[request.path_params["name"]](text), media_type="text/event-stream")

    async def with_pings(request: Any) -> Any:
        events = SCENARIOS[request.path_params["name"]](lambda number: {"data": number, "id": str(number)})
        return sse_starlette.EventSourceResponse(events)

    routes = [Route("/starlette/{name}", plain), Route("/sse-starlette/{name}", with_pings)]
    return Starlette(routes=routes)


def _starlette_around() -> Starlette:
    async def plain(request: Any) -> Any:
        return StreamingResponse(SCENARIOS[request.path_params["name"]](text), media_type="text/event-stream")

    async def pass_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    middleware = [Middleware(BaseHTTPMiddleware, dispatch=pass_on)]
    return Starlette(routes=[Route("/starlette-around/{name}", plain)], middleware=middleware)


def _litestar() -> Litestar:
    @litestar_get("/litestar/{name:str}")
    async def stream(request: LitestarRequest[Any, Any, Any]) -> LitestarStream:
        return LitestarStream(SCENARIOS[request.path_params["name"]](text), media_type="text/event-stream")

    return Litestar([stream], openapi_config=None)


def _quart() -> Quart:
    app = Quart("foreign")

    @app.get("/quart/<name>")
    async def stream(name: str) -> Any:
        return SCENARIOS[name](text), 200, {"content-type": "text/event-stream"}

    return app


async def _django_view(_request: Any, name: str) -> StreamingHttpResponse:
    return StreamingHttpResponse(SCENARIOS[name](text), content_type="text/event-stream")


urlpatterns = [django_path("django/<name>", _django_view)]


def _django() -> Any:
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="rig", DEBUG=False)
        django.setup()
    from tests.rig.apps.django import TidyASGIHandler

    class Request(ASGIRequest):
        urlconf = __name__

    class Handler(TidyASGIHandler):
        request_class = Request

    return Handler()


_fastapi_app, _starlette_app = _fastapi(), _starlette()
APPS: dict[str, Any] = {
    "fastapi-sse": _fastapi_app,
    "fastapi-jsonl": _fastapi_app,
    "sse-starlette": _starlette_app,
    "starlette": _starlette_app,
    "starlette-around": _starlette_around(),
    "litestar": _litestar(),
    "quart": _quart(),
    "django": _django(),
}


async def frameworks(scope: Any, receive: Any, send: Any) -> None:
    """Call the app that the path names first."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
    else:
        await APPS[scope["path"].split("/")[1]](scope, receive, send)


app = StreamingMiddleware(cast(Any, frameworks))

open_side_door()
