"""Every kind of client that `open_stream` takes, over an app of one view; and one way to drive sync and async ones.

A test is written once, as a coroutine over `Bench.open`. For a sync client it is run without an event loop: nothing in
it ever suspends, because each await is a plain call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import django.test
import flask
import httpx
import httpx2
from django.test import override_settings
from django.urls import path
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.testclient import TestClient

import streamkit.asgi
import streamkit.django
import streamkit.fastapi
import streamkit.flask
import streamkit.starlette
import streamkit.wsgi
from streamkit.testing import fake_clock, open_stream

BASE = "http://testserver"
METHODS = ["GET", "POST"]

Respond = Callable[[Any, Any], Any]
"""Given the adapter and what the framework has for a request, returns the response."""


class Plain:
    """Awaits the methods of a sync stream, which have returned by then."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._events, name)
        if not callable(found) or isinstance(found, type):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            return found(*args, **kwargs)

        return call

    async def __aiter__(self) -> AsyncIterator[Any]:
        for item in self._events:
            yield item


@dataclass
class Kind:
    """One kind of client.

    Attributes:
        adapter: The module whose responses its app returns.
        make: Gives a client of an app whose view responds so, as long as it is entered.
        waits: Whether it is used by `async with`.
    """

    adapter: Any
    make: Callable[[Respond], AbstractContextManager[Any]]
    waits: bool

    def run(self, respond: Respond, test: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
        """Run a test on a client of `respond`."""
        with self.make(respond) as client:
            bench = Bench(client, self.waits)
            if self.waits:
                asyncio.run(test(bench))
            else:
                _run_at_once(test(bench))


@dataclass
class Bench:
    """A client, and how streams are opened on it."""

    client: Any
    waits: bool

    @asynccontextmanager
    async def open(self, method: str = "GET", url: str = "/", **options: Any) -> AsyncIterator[Any]:
        """Open a stream in the one way or the other."""
        opening = open_stream(self.client, method, url, **{"timeout": 20, **options})
        if self.waits:
            async with opening as events:
                yield events
        else:
            with opening as sync_events:
                yield Plain(sync_events)

    @asynccontextmanager
    async def clock(self) -> AsyncIterator[Any]:
        """Own the time."""
        if self.waits:
            async with fake_clock() as clock:
                yield clock
        else:
            with fake_clock() as sync_clock:
                yield Plain(sync_clock)


def _run_at_once(test: Coroutine[Any, Any, None]) -> None:
    try:
        test.send(None)
    except StopIteration:
        return
    raise AssertionError("a sync test has suspended")


def _flask(respond: Respond) -> flask.Flask:
    app = flask.Flask("tests")
    app.secret_key = "not one"
    app.add_url_rule("/", view_func=lambda: respond(streamkit.flask, flask.request), endpoint="view", methods=METHODS)
    return app


def _starlette(respond: Respond) -> Starlette:
    async def view(request: Request) -> Any:
        await request.body()
        return respond(streamkit.starlette, request)

    return Starlette(routes=[Route("/", view, methods=METHODS)])


def _fastapi(respond: Respond) -> FastAPI:
    app = FastAPI()

    def view(request: Request) -> Any:  # in a thread of anyio's
        return respond(streamkit.fastapi, request)

    app.add_api_route("/", view, methods=METHODS, response_model=None)
    return app


def _wsgi(respond: Respond) -> Any:
    return lambda environ, start_response: respond(streamkit.wsgi, environ)(environ, start_response)


def _asgi(respond: Respond) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await respond(streamkit.asgi, scope)(scope, receive, send)

    return app


@contextmanager
def _django(client: Any, respond: Respond) -> Iterator[Any]:
    def view(request: Any) -> Any:
        return respond(streamkit.django, request)

    with override_settings(ROOT_URLCONF=(path("", view),)):
        yield client()


def _transport(module: Any, app: Any) -> Any:
    return module.AsyncClient(transport=module.ASGITransport(app=app), base_url=BASE)


KINDS = {
    "flask": Kind(streamkit.flask, lambda r: nullcontext(_flask(r).test_client()), False),
    "django": Kind(streamkit.django, lambda r: _django(django.test.Client, r), False),
    "django-async": Kind(streamkit.django, lambda r: _django(django.test.AsyncClient, r), True),
    "starlette": Kind(streamkit.starlette, lambda r: nullcontext(TestClient(_starlette(r))), False),
    "starlette-begun": Kind(streamkit.starlette, lambda r: TestClient(_starlette(r)), False),
    "fastapi": Kind(streamkit.fastapi, lambda r: nullcontext(TestClient(_fastapi(r))), False),
    "httpx-asgi": Kind(streamkit.starlette, lambda r: nullcontext(_transport(httpx, _starlette(r))), True),
    "httpx2-asgi": Kind(streamkit.fastapi, lambda r: nullcontext(_transport(httpx2, _fastapi(r))), True),
    "httpx-wsgi": Kind(
        streamkit.flask, lambda r: httpx.Client(transport=httpx.WSGITransport(app=_flask(r)), base_url=BASE), False
    ),
    "wsgi": Kind(streamkit.wsgi, lambda r: nullcontext(_wsgi(r)), False),
    "wsgi-awaited": Kind(streamkit.wsgi, lambda r: nullcontext(_wsgi(r)), True),
    "asgi": Kind(streamkit.asgi, lambda r: nullcontext(_asgi(r)), False),
    "asgi-awaited": Kind(streamkit.asgi, lambda r: nullcontext(_asgi(r)), True),
}
