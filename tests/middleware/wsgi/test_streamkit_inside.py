"""Streamkit's own responses inside the middleware, and the middleware inside another: one keepalive, one close."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import pytest

import streamkit.flask
import streamkit.wsgi
from streamkit import StreamLimit, StreamPolicy, stats
from streamkit.wsgi import StreamingMiddleware
from tests.adapters.wsgi_calls import Call
from tests.engine.lives import Ends
from tests.middleware.wsgi.apps import EVENTS, A, B, Body, app_of, late_app_of


def _plain(ends: Ends) -> Any:
    return streamkit.wsgi.EventStreamResponse(iter("ab"), on_close=ends)


def _generator(ends: Ends) -> Any:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        body: Any = _plain(ends)(environ, start_response)
        try:
            yield from body
        finally:
            body.close()

    return app


def _copied(ends: Ends) -> Any:
    return lambda environ, start: _plain(ends)({**environ}, start)


def _flask(ends: Ends) -> Any:
    app = flask.Flask(__name__)

    @app.get("/")
    def page() -> Any:
        return streamkit.flask.EventStreamResponse(iter("ab"), on_close=ends)

    return app


@pytest.mark.parametrize("make", [_plain, _generator, _copied, _flask], ids=["wsgi", "generator", "copied", "flask"])
@pytest.mark.parametrize("threads", [False, True], ids=["inline", "threads"])
def test_response_of_streamkit_passes_through(make: Any, threads: bool) -> None:
    """It is one stream, with its own limits and its own end."""
    inner, outer, opened = Ends(), Ends(), stats().opened
    limit = StreamLimit(1)
    limit.acquire()
    middleware = StreamingMiddleware(make(inner), policy=StreamPolicy(keepalive=5), limit=limit, on_close=outer)
    call = Call(middleware, threads=threads)
    assert call.read().removeprefix(b":\n") == A + B
    assert (inner.reasons, outer.reasons) == (["completed"], [])
    assert stats().opened == opened + 1


@pytest.mark.parametrize("make", [app_of, late_app_of], ids=["view", "generator"])
def test_middleware_inside_itself_passes_through(make: Any) -> None:
    """Only the outer one counts."""
    inner, outer, opened = Ends(), Ends(), stats().opened
    body = Body()
    call = Call(StreamingMiddleware(StreamingMiddleware(make(body, EVENTS), on_close=inner), on_close=outer))
    assert call.read() == A + B
    assert (inner.reasons, outer.reasons) == ([], ["completed"])
    assert stats().opened == opened + 1


def test_app_that_ends_a_response_of_streamkit_itself_is_left_alone() -> None:
    """HEAD and 406 are answers of ours too, and pass as they are."""

    def app(environ: Any, start_response: Any) -> Any:
        return streamkit.wsgi.NegotiatedResponse(iter("ab"))(environ, start_response)

    middleware = StreamingMiddleware(app, limit=StreamLimit(1))
    head = Call(middleware, method="HEAD")
    assert head.read() == b""
    assert head.headers["Content-Type"] == "text/event-stream"
    assert Call(middleware, headers={"Accept": "image/png"}).status == 406
