"""Flask apps that stream without streamkit, behind `app.wsgi_app = StreamingMiddleware(app.wsgi_app)`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from importlib.metadata import version
from itertools import count
from typing import Any

import flask
import pytest

from streamkit import StreamPolicy, stats
from streamkit.flask import StreamingMiddleware
from tests.adapters.wsgi_calls import Call
from tests.engine.lives import Ends, wait_for
from tests.middleware.wsgi.apps import A, B

by_thread = pytest.mark.parametrize("keepalive", [None, 15], ids=["inline", "thread"])

FLASK = tuple(int(part) for part in version("flask").split(".")[:3])
entered_late = pytest.mark.parametrize(
    "keepalive",
    [
        pytest.param(None, id="inline"),
        pytest.param(
            15,
            id="thread",
            marks=pytest.mark.skipif(
                FLASK < (3, 1, 2), reason="before Flask 3.1.2 stream_with_context enters its contexts in the view"
            ),
        ),
    ],
)


class Site:
    """A site of one page, and what became of its stream."""

    def __init__(self, keepalive: float | None = None, *, middleware: bool = True) -> None:
        self.ends = Ends()
        self.torn_down = 0
        self.threads: set[int] = set()
        self.app = flask.Flask(__name__)
        if middleware:
            wrapped = StreamingMiddleware(
                self.app.wsgi_app, policy=StreamPolicy(keepalive=keepalive), on_close=self.ends
            )
            self.app.wsgi_app = wrapped  # type: ignore[method-assign]
        self.app.teardown_request(self._tear_down)

    def _tear_down(self, _error: BaseException | None) -> None:
        self.torn_down += 1

    def streamed(self, items: Iterator[bytes]) -> flask.Response:
        """Return a response as people write it."""
        return flask.Response(self.noted(items), mimetype="text/event-stream")

    def noted(self, items: Iterator[bytes]) -> Iterator[bytes]:
        """Take note of the threads in which the items are made, and of the one that closes."""
        try:
            for item in items:
                self.threads.add(threading.get_ident())
                yield item
        finally:
            self.threads.add(threading.get_ident())

    def page(self) -> flask.Response:
        """Stream for ever what the request says, or twice if it says so."""

        def items() -> Iterator[bytes]:
            for _ in range(2) if "twice" in flask.request.args else count():
                yield b"data: %s\n\n" % flask.request.args["name"].encode()

        return self.streamed(flask.stream_with_context(items()))


def _torn_down_without_middleware(path: str, *, whole: bool) -> int:
    """Return how often Flask itself calls teardown functions: once for the view and once for the stream."""
    bare = Site(middleware=False)
    bare.app.get("/")(bare.page)
    call = Call(bare.app, path)
    assert call.take()
    if whole:
        call.read()
    call.close()
    return bare.torn_down


@entered_late
def test_generator_with_context_streams_and_is_torn_down_as_ever(keepalive: float | None) -> None:
    """stream_with_context pushes its contexts where it is first iterated, and pops them there."""
    site = Site(keepalive)
    site.app.get("/")(site.page)
    call = Call(site.app, "/?name=a&twice", threads=True)
    assert call.headers["Cache-Control"] == "no-cache, no-transform"
    assert call.read() == A + A
    assert site.ends.reasons == ["completed"]
    assert len(site.threads) == 1
    assert (threading.get_ident() in site.threads) is (keepalive is None)
    assert not flask.has_app_context()
    assert site.torn_down == _torn_down_without_middleware("/?name=a&twice", whole=True)


@entered_late
def test_client_that_leaves_tears_the_request_down(keepalive: float | None) -> None:
    """No context stays behind on the worker's thread."""
    site = Site(keepalive)
    site.app.get("/")(site.page)
    call = Call(site.app, "/?name=a", threads=True)
    assert call.take()
    call.close()
    wait_for(lambda: stats().threads == 0)
    assert site.ends.reasons == ["disconnected"]
    assert site.torn_down == _torn_down_without_middleware("/?name=a", whole=False)
    assert not flask.has_app_context()
    assert len(site.threads) == 1


@by_thread
def test_generator_without_its_context_fails_aloud(keepalive: float | None) -> None:
    """Its error reaches the server, which cuts the connection: nothing is truncated in silence."""
    site = Site(keepalive)

    @site.app.get("/")
    def page() -> flask.Response:
        def items() -> Iterator[bytes]:
            yield A
            yield flask.request.args["name"].encode()

        return site.streamed(items())

    call = Call(site.app, "/?name=a", threads=True)
    with pytest.raises(RuntimeError, match="request context"):
        call.read()
    assert site.ends.reasons == ["error"]


def test_pages_that_do_not_stream_pass() -> None:
    """With the headers that Flask gives them."""
    site = Site()

    @site.app.get("/")
    def page() -> Any:
        return {"a": 1}

    @site.app.get("/file")
    def file() -> Any:
        return flask.send_file(__file__)

    call = Call(site.app)
    assert call.read() == b'{"a":1}\n'
    assert call.headers == {"Content-Type": "application/json", "Content-Length": "8"}
    assert b"Flask apps that stream" in Call(site.app, "/file").read()
    assert Call(site.app, "/none").status == 404
    assert site.ends.told == []


def test_head_request_never_starts_the_generator() -> None:
    """Flask leaves it alone, and the middleware with it."""
    site = Site()

    @site.app.get("/")
    def page() -> flask.Response:
        return site.streamed(iter([A, B]))

    call = Call(site.app, method="HEAD")
    assert call.read() == b""
    assert call.headers["X-Accel-Buffering"] == "no"
    assert site.threads == set()
    assert site.ends.told == []
