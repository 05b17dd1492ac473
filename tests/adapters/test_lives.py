"""The life of a stream under each framework, bare or behind what compresses its body: ends, farewells and limits."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

import pytest

pytest.importorskip("django")

from fastapi import FastAPI
from starlette.testclient import TestClient

import streamkit
from streamkit import Event, PipeClosedError, StreamLimit, StreamPolicy
from streamkit import django as on_django
from streamkit import fastapi as on_fastapi
from streamkit import flask as on_flask
from streamkit import starlette as on_starlette
from tests.adapters.django_project import Fed, Kind, by_source, serving
from tests.adapters.flask_apps import app_with
from tests.adapters.starlette_app import app_of
from tests.adapters.watched import host as host_of
from tests.engine.lives import Ends, events, wait_for
from tests.rig.asgi import ASGIHost
from tests.rig.wsgi import WSGIHost

READER = {"Accept": "text/event-stream"}


def zipped(chunks: Any) -> Iterator[bytes]:
    """Compress a body chunk by chunk."""
    squeeze = zlib.compressobj(wbits=31)
    for chunk in chunks:
        yield squeeze.compress(chunk) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    yield squeeze.flush()


async def zipped_async(chunks: Any) -> AsyncIterator[bytes]:
    """Do what `zipped` does, awaiting."""
    squeeze = zlib.compressobj(wbits=31)
    async for chunk in chunks:
        yield squeeze.compress(chunk) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    yield squeeze.flush()


def zip_sync(get_response: Any) -> Any:
    """Be a middleware of Django's that compresses by `for`."""
    return lambda request: _replace(get_response(request), "streaming_content", zipped)


def zip_async(get_response: Any) -> Any:
    """Be a middleware of Django's that compresses by `async for`."""
    return lambda request: _replace(get_response(request), "streaming_content", zipped_async)


def _replace(response: Any, name: str, wrap: Any) -> Any:
    setattr(response, name, wrap(getattr(response, name)))
    return response


def starlette(content: Any, wrapped: bool, **options: Any) -> ASGIHost:
    """Serve one stream by Starlette."""

    def build(request: Any) -> Any:
        response = on_starlette.EventStreamResponse(content(), **options)
        return _replace(response, "body_iterator", zipped_async) if wrapped else response

    return host_of(app_of(build))


def flask(content: Any, wrapped: bool, **options: Any) -> WSGIHost:
    """Serve one stream by Flask."""
    app = app_with(lambda: on_flask.EventStreamResponse(content(), **options))
    if wrapped:
        app.after_request(lambda response: _replace(response, "response", zipped))
    return WSGIHost(app)


def django(interface: Any, middleware: str, content: Any, wrapped: bool, **options: Any) -> Any:
    """Serve one stream by Django."""

    def view(request: Any) -> Any:
        return on_django.EventStreamResponse(content(), request=request, **options)

    return serving(interface, view, MIDDLEWARE=[f"{__name__}.{middleware}"] if wrapped else [])


HOSTS: dict[str, Any] = {
    "starlette": starlette,
    "flask": flask,
    "django-asgi": lambda *args, **options: django("asgi", "zip_async", *args, **options),
    "django-wsgi": lambda *args, **options: django("wsgi", "zip_sync", *args, **options),
    "django-asgi-wrong": lambda *args, **options: django("asgi", "zip_sync", *args, **options),
    "django-wsgi-wrong": lambda *args, **options: django("wsgi", "zip_async", *args, **options),
}
"""The last two have a middleware for the other handler."""

by_host = pytest.mark.parametrize("host", HOSTS)
by_wrapping = pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "wrapped"])


class Served:
    """One stream of a source that a test feeds, its host, and what became of it."""

    def __init__(self, host: str, source: Kind, wrapped: bool, **options: Any) -> None:
        self.fed, self.ends = Fed(), Ends()
        self.wrapped = wrapped
        serve = HOSTS[host]
        self.host: AbstractContextManager[Any] = serve(
            lambda: self.fed.source(source), wrapped, on_close=self.ends, **options
        )

    def plain(self, body: bytes) -> bytes:
        """Return what the body says."""
        return zlib.decompressobj(wbits=31).decompress(body) if self.wrapped else body

    def read_until(self, stream: Any, text: bytes) -> None:
        """Wait until the client has some text."""
        while text not in self.plain(stream.body):
            assert stream.piece() is not None, "the stream has ended"

    def nudge(self, item: object) -> bool:
        """Let a thread out of its source, unless the source is closed already; tell whether the stream has ended."""
        with suppress(PipeClosedError):
            self.fed.put(item)
        return bool(self.ends.told)

    def ended(self, reason: str) -> None:
        """Check that `on_close` was called once, for `reason`."""
        wait_for(lambda: self.ends.told)
        assert self.ends.reasons == [reason]


@by_host
@by_source
@by_wrapping
def test_farewell_passes_through_what_wraps_the_body(host: str, source: Kind, wrapped: bool) -> None:
    """A browser that resumes is told when to come back, also by a body that was compressed."""
    served = Served(host, source, wrapped)
    with served.host as server, server.open("/", headers=READER) as stream:
        served.fed.put(Event("a", id=1))
        served.read_until(stream, b"data: a\n\n")
        served.fed.put(Event("b", id=2))
        served.read_until(stream, b"data: b\n\n")  # so the server has come back for more, and the first id has left
        assert streamkit.drain() == 1
        served.nudge(Event("c", id=3))
        stream.read_to_end()
        assert stream.clean
        body = served.plain(stream.body)
        found, retry = events(body)
        assert [event.data for event in found][:2] == ["a", "b"]
        assert len(found) <= 3
        assert retry is not None
        assert body.endswith(b"\n\nretry: %d\n" % retry)
        served.fed.pipe.close()
        assert served.fed.closed.wait(5)
        served.ended("drained")
        assert served.ends.told[0][1].bytes == len(body)


@by_host
@by_source
@by_wrapping
def test_stream_that_does_not_finish_is_cut_off_through_any_wrapper(host: str, source: Kind, wrapped: bool) -> None:
    """No client takes it for whole."""
    served = Served(host, source, wrapped, policy=StreamPolicy(drain="finish", grace=0.05))
    with served.host as server, server.open("/", headers=READER) as stream:
        served.fed.put("a")
        served.read_until(stream, b"data: a\n\n")
        assert streamkit.drain() == 1
        wait_for(lambda: served.nudge("more"))
        stream.read_to_end()
        assert not stream.clean
        assert b"retry" not in served.plain(stream.body)
        served.fed.pipe.close()
        served.ended("drained")


@by_host
@by_source
@by_wrapping
def test_stream_that_was_read_to_its_end_is_completed(host: str, source: Kind, wrapped: bool) -> None:
    """Once, with the bytes before any compression."""
    served = Served(host, source, wrapped, end=Event("", event="done"))
    with served.host as server, server.open("/") as stream:
        served.fed.put("a")
        served.fed.pipe.close()
        stream.read_to_end()
        assert stream.clean
        served.ended("completed")
        body = served.plain(stream.body)
        assert body.endswith(b"data: a\n\nevent: done\ndata: \n\n")
        assert served.ends.told[0][1].bytes == len(body)


@by_host
@by_source
@by_wrapping
def test_stream_whose_client_leaves_is_disconnected(host: str, source: Kind, wrapped: bool) -> None:
    """Whoever it was that noticed."""
    served = Served(host, source, wrapped, policy=StreamPolicy(keepalive=0.02))
    with served.host as server, server.open("/") as stream:
        served.fed.put("a")
        served.read_until(stream, b"data: a\n\n")
        stream.leave()
        assert served.fed.is_closed()
        served.ended("disconnected")


@by_host
@by_wrapping
def test_stream_over_the_limit_is_refused(host: str, wrapped: bool) -> None:
    """A browser's EventSource is told when to come back, any other client gets 503; then there is room again."""
    limit = StreamLimit(1)
    served = Served(host, "async", False, limit=limit)
    with served.host as server:
        with server.open("/", headers=READER) as stream:
            served.fed.put("a")
            served.read_until(stream, b"data: a\n\n")
            browser = server.open("/", headers=READER)
            body = browser.read_to_end()
            assert browser.head().status == 200
            assert body.startswith(b"retry: ")
            other = server.open("/", headers={"Accept": "*/*"})
            other.read_to_end()
            assert other.head().status == 503
            assert 2 <= int(other.head().get("retry-after") or "") <= 10
            served.fed.pipe.close()
            stream.read_to_end()
        served.ended("completed")
        assert limit.open == 0


@pytest.mark.parametrize("host", ["django-asgi", "django-wsgi", "flask", "starlette"])
def test_head_request_is_no_stream(host: str) -> None:
    """It has the headers of one, counts for nothing and ends for nobody."""
    served = Served(host, "async", False, limit=StreamLimit(1))
    before = streamkit.stats().opened
    with served.host as server, server.open("/", method="HEAD") as stream:
        stream.read_to_end()
        assert stream.head().get("content-type") == "text/event-stream"
    assert served.ends.told == []
    assert streamkit.stats().opened == before


def test_options_of_a_life_are_class_attributes_for_endpoints_that_yield() -> None:
    """FastAPI passes none to a `response_class`; a plain function there is no method."""
    reasons: list[tuple[str, object]] = []

    class News(on_fastapi.EventStreamResponse):
        on_close = lambda reason, stats: reasons.append((reason, stats.key))  # type: ignore[assignment]  # noqa: E731
        limit = StreamLimit(1)
        key = "everybody"

    app = FastAPI()

    @app.get("/", response_class=News)
    async def news() -> AsyncIterator[str]:
        yield "a"
        assert News.limit.open == 1

    with TestClient(app) as client:
        assert client.get("/").content == b"data: a\n\n"
    assert reasons == [("completed", "everybody")]
    assert News.limit.open == 0


def test_stream_lasts_as_long_as_what_wraps_its_body() -> None:
    """A wrapper that has more to send when the source has ended can still be ended, and counts as open."""
    ends = Ends()

    async def wrapped(chunks: Any) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            yield chunk
        ends.seen.append(f"{streamkit.stats().open} open")
        yield b"tail"

    def build(request: Any) -> Any:
        return _replace(on_starlette.EventStreamResponse(["a"], on_close=ends), "body_iterator", wrapped)

    before = streamkit.stats().open
    with TestClient(app_of(build)) as client:
        assert client.get("/").content == b"data: a\n\ntail"
    assert ends.seen == [f"{before + 1} open", "on_close"]
    assert ends.reasons == ["completed"]
