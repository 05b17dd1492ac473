"""Small apps that stream by their framework's own means, as `before_after` serves them; streamkit is only ever outside.

The environment says which: FOREIGN names the framework, and where WRAPPED is 1 the middleware is around it. Each app
has its framework's gzip where there is one, and the routes

    /idle   one event, then nothing for ever; `finally` awaits, and then writes a line to the file that MARKS names
    /spin   events without end and without an `await`
    /pair   two events, one second apart
    /ok     an ordinary response
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from streamkit import StreamPolicy, asgi, wsgi
from tests.rig.sidedoor import open_side_door

MEDIA_TYPE = "text/event-stream"
POLICY = StreamPolicy(keepalive=1)
"""A keepalive that nobody need wait 15 seconds for, and that is asked for, which WSGI wants."""


def mark(line: str) -> None:
    """Write down what happened."""
    with Path(os.environ["MARKS"]).open("a", encoding="utf-8") as marks:
        marks.write(f"{line}\n")


async def idle() -> AsyncIterator[str]:
    """Yield once and wait for ever."""
    try:
        yield "data: hello\n\n"
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.05)
        mark("cleaned up")


async def spin() -> AsyncIterator[str]:
    """Never wait."""
    try:
        while True:
            yield "data: x\n\n"
    finally:
        mark("stopped")


async def pair() -> AsyncIterator[str]:
    """Wait between two."""
    yield "data: 1\n\n"
    await asyncio.sleep(1)
    yield "data: 2\n\n"


ROUTES = {"/idle": idle, "/spin": spin, "/pair": pair}


def idle_sync() -> Iterator[str]:
    """Yield once; then look for news four times a second and find none."""
    try:
        yield "data: hello\n\n"
        while True:
            time.sleep(0.25)
            yield ""
    finally:
        mark("cleaned up")


def spin_sync() -> Iterator[str]:
    """Never wait."""
    try:
        while True:
            yield "data: x\n\n"
    finally:
        mark("stopped")


def pair_sync() -> Iterator[str]:
    """Wait between two."""
    yield "data: 1\n\n"
    time.sleep(1)
    yield "data: 2\n\n"


SYNC_ROUTES = {"/idle": idle_sync, "/spin": spin_sync, "/pair": pair_sync}


def starlette_app() -> Any:
    """Use Starlette's StreamingResponse."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Route

    async def ok(_: Any) -> PlainTextResponse:
        return PlainTextResponse("ok")

    def streaming(source: Any) -> Any:
        async def view(_: Any) -> StreamingResponse:
            return StreamingResponse(source(), media_type=MEDIA_TYPE)

        return view

    routes = [Route(path, streaming(source)) for path, source in ROUTES.items()]
    return Starlette(routes=[Route("/ok", ok), *routes], middleware=[Middleware(GZipMiddleware, minimum_size=0)])


def sse_starlette_app() -> Any:
    """Use sse-starlette."""
    from sse_starlette import EventSourceResponse
    from sse_starlette.sse import AppStatus
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def ok(_: Any) -> PlainTextResponse:
        return PlainTextResponse("ok")

    def streaming(source: Any) -> Any:
        async def view(_: Any) -> EventSourceResponse:
            return EventSourceResponse(_data(source()))

        return view

    if wrapped():
        AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]  # as docs/middleware.md says

    routes = [Route(path, streaming(source)) for path, source in ROUTES.items()]
    return Starlette(routes=[Route("/ok", ok), *routes], middleware=[Middleware(GZipMiddleware, minimum_size=0)])


async def _data(frames: AsyncIterator[str]) -> AsyncIterator[dict[str, str]]:
    from contextlib import aclosing

    async with aclosing(frames) as open_frames:  # type: ignore[type-var]
        async for frame in open_frames:
            yield {"data": frame[6:-2]}


def fastapi_app(*, lines: bool) -> Any:
    """Use FastAPI's own event streams, or its JSON lines."""
    from fastapi import FastAPI
    from fastapi.sse import EventSourceResponse
    from starlette.middleware.gzip import GZipMiddleware

    app = FastAPI()
    app.add_middleware(GZipMiddleware, minimum_size=0)
    options: dict[str, Any] = {"methods": ["GET", "HEAD"]}
    if not lines:
        options["response_class"] = EventSourceResponse

    @app.api_route("/idle", **options)
    async def _idle() -> AsyncIterator[dict[str, str]]:
        async for item in _data(idle()):
            yield item

    @app.api_route("/spin", **options)
    async def _spin() -> AsyncIterator[dict[str, str]]:
        try:
            while True:
                yield {"data": "x"}
        finally:
            mark("stopped")

    @app.api_route("/pair", **options)
    async def _pair() -> AsyncIterator[dict[str, str]]:
        async for item in _data(pair()):
            yield item

    @app.get("/ok")
    async def _ok() -> str:
        return "ok"

    return app


def litestar_app() -> Any:
    """Use Litestar's Stream."""
    from litestar import Litestar, Response, route
    from litestar.config.compression import CompressionConfig
    from litestar.enums import HttpMethod
    from litestar.response import Stream

    def streaming(path: str, source: Any) -> Any:
        @route(path, http_method=[HttpMethod.GET, HttpMethod.HEAD], media_type=MEDIA_TYPE)
        async def view() -> Stream:
            return Stream(source(), media_type=MEDIA_TYPE)

        return view

    @route("/ok", http_method=[HttpMethod.GET])
    async def ok() -> Response[str]:
        return Response("ok")

    handlers = [ok, *(streaming(path, source) for path, source in ROUTES.items())]
    gzip = CompressionConfig(backend="gzip", minimum_size=1)
    return Litestar(handlers, compression_config=gzip, signature_namespace={"Response": Response, "Stream": Stream})


def quart_app() -> Any:
    """Use Quart's Response, which has no gzip."""
    from quart import Quart, Response

    app = Quart(__name__)

    def streaming(source: Any) -> Any:
        async def view() -> Response:
            response = Response(_encoded(source()), mimetype=MEDIA_TYPE)
            response.timeout = None
            return response

        return view

    for path, source in ROUTES.items():
        app.add_url_rule(path, path, streaming(source))

    @app.get("/ok")
    async def ok() -> str:
        return "ok"

    return app


async def _encoded(frames: AsyncIterator[str]) -> AsyncIterator[bytes]:
    from contextlib import aclosing

    async with aclosing(frames) as open_frames:  # type: ignore[type-var]
        async for frame in open_frames:
            yield frame.encode()


def django_app(*, asynchronous: bool) -> Any:
    """Use Django's StreamingHttpResponse."""
    import django
    from django.conf import settings
    from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
    from django.urls import path

    def streaming(source: Any) -> Any:
        def view(_: HttpRequest) -> StreamingHttpResponse:
            return StreamingHttpResponse(source(), content_type=MEDIA_TYPE)

        return view

    sources: dict[str, Any] = ROUTES if asynchronous else SYNC_ROUTES
    urls = tuple(path(where[1:], streaming(source)) for where, source in sources.items())
    middleware = ["django.middleware.gzip.GZipMiddleware"]
    if wrapped():
        middleware.append("benchmarks.foreign_apps.DjangoWrapped")
    settings.configure(
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=middleware,
        ROOT_URLCONF=(*urls, path("ok", lambda _: HttpResponse("ok"))),
        SECRET_KEY="unused",
    )
    django.setup()
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler

    return ASGIHandler() if asynchronous else WSGIHandler()


def flask_app() -> Any:
    """Use a generator in a Flask response, which has no gzip."""
    import flask

    app = flask.Flask(__name__)

    def streaming(source: Any) -> Any:
        def view() -> flask.Response:
            return flask.Response(source(), mimetype=MEDIA_TYPE)

        return view

    for where, source in SYNC_ROUTES.items():
        app.add_url_rule(where, where, streaming(source))
    app.add_url_rule("/ok", "ok", lambda: "ok")
    return app


APPS = {
    "Starlette": starlette_app,
    "FastAPI event stream": lambda: fastapi_app(lines=False),
    "FastAPI JSON lines": lambda: fastapi_app(lines=True),
    "sse-starlette": sse_starlette_app,
    "Litestar": litestar_app,
    "Quart": quart_app,
    "Django under ASGI": lambda: django_app(asynchronous=True),
    "Django under WSGI": lambda: django_app(asynchronous=False),
    "Flask": flask_app,
}
WSGI = {"Django under WSGI", "Flask"}


def wrapped() -> bool:
    """Tell whether the middleware is to be around the app."""
    return os.environ.get("WRAPPED") == "1"


def __getattr__(name: str) -> Any:
    if name == "DjangoWrapped":
        from streamkit.django import StreamingMiddleware

        return type(name, (StreamingMiddleware,), {"policy": POLICY})
    if name != "app":
        raise AttributeError(name)
    open_side_door()
    framework = os.environ["FOREIGN"]
    app = APPS[framework]()
    if wrapped() and not framework.startswith("Django"):
        app = (wsgi if framework in WSGI else asgi).StreamingMiddleware(app, policy=POLICY)
    globals()["app"] = app
    return app
