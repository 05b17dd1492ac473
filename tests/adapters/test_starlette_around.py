"""What Starlette puts around a response: code that reads its body, middleware, the test client, the thread pool."""

from __future__ import annotations

import asyncio
import json
import threading
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import starlette
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from streamkit import Event
from streamkit.starlette import (
    EventStreamResponse,
    JSONSeqResponse,
    NDJSONResponse,
    NegotiatedResponse,
    TextStreamResponse,
    primed,
)
from streamkit.testing import open_stream
from tests.adapters.starlette_app import app_of, client_of, forbidden_async, tokens
from tests.adapters.watched import Watched, host
from tests.rig.stream import Stream

VERSION = tuple(int(part) for part in starlette.__version__.split(".")[:2])
RESPONSES = [EventStreamResponse, NDJSONResponse, JSONSeqResponse, TextStreamResponse]


def plain(stream: Stream) -> bytes:
    """Return the body so far as a client sees it, decompressed."""
    if stream.head().get("content-encoding") == "gzip":
        return zlib.decompressobj(31).decompress(stream.body)
    return stream.body


def read_plain(stream: Stream, wanted: bytes) -> None:
    """Read until `wanted` can be seen."""
    while wanted not in plain(stream):
        assert stream.piece(within=3) is not None


def test_body_iterator_gives_the_bytes_of_the_body() -> None:
    """Code that reads the body of a StreamingResponse by itself finds it there."""

    async def read(response: StreamingResponse) -> bytes:
        return b"".join([chunk async for chunk in response.body_iterator])  # type: ignore[misc]

    assert asyncio.run(read(EventStreamResponse(tokens()))) == b"data: one\n\ndata: two\n\n"
    assert asyncio.run(read(NDJSONResponse([1, 2], end="end"))) == b'1\n2\n"end"\n'
    looked_at_twice = EventStreamResponse([])
    assert looked_at_twice.body_iterator is looked_at_twice.body_iterator


def test_body_iterator_reads_a_primed_source() -> None:
    """A source that runs already gives its first item here too."""

    async def read() -> bytes:
        response = NDJSONResponse(await primed(tokens()))
        return b"".join([chunk async for chunk in response.body_iterator])  # type: ignore[misc]

    assert asyncio.run(read()) == b'"one"\n"two"\n'


def test_body_iterator_that_was_wrapped_is_what_is_sent() -> None:
    """Code that replaces the body by a wrapper around it gets its way, cookies and all."""

    async def upper(chunks: Any) -> AsyncIterator[str]:
        async for chunk in chunks:
            yield chunk.decode().upper()

    def build(request: Request) -> Response:
        response = NegotiatedResponse(tokens())
        response.body_iterator = upper(response.body_iterator)
        return response

    with client_of(build) as client:
        answer = client.get("/", headers={"Accept": "application/json"})
    assert answer.content == b"DATA: ONE\n\nDATA: TWO\n\n"
    assert (answer.headers["content-type"], answer.headers["vary"]) == ("text/event-stream", "Accept")


def test_source_behind_a_wrapped_body_is_closed_when_the_client_leaves() -> None:
    """A wrapper that closes nothing leaves no source open."""
    source = Watched()

    async def wrapped(chunks: Any) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            yield chunk

    def build(request: Request) -> Response:
        response = EventStreamResponse(source.items())
        response.body_iterator = wrapped(response.body_iterator)
        return response

    with host(app_of(build)) as server, server.open("/") as stream:
        source.pipe.put("x")
        stream.read_until(b"x")
        stream.leave()
        assert source.closed.wait(3)


@pytest.mark.parametrize("kind", RESPONSES)
def test_gzip_middleware_holds_no_frame_back(kind: type[Response]) -> None:
    """A client that accepts gzip sees each item when it is there, compressed or not."""
    source = Watched()
    gzip = Middleware(GZipMiddleware, minimum_size=1)
    app = app_of(lambda request: kind(source.items()), middleware=[gzip])
    with host(app) as server, server.open("/", headers={"Accept-Encoding": "gzip, br"}) as stream:
        assert stream.head().status == 200
        for item in ("one", "two", "three"):
            source.pipe.put(item)
            read_plain(stream, item.encode())
    assert source.closed.wait(3)


@pytest.mark.parametrize(
    ("kind", "accepted", "encoding"),
    [
        (NDJSONResponse, "gzip", "identity"),
        (NDJSONResponse, "br", None),
        (EventStreamResponse, "gzip", None),
    ],
)
def test_old_gzip_middleware_is_told_to_keep_off(
    kind: type[Response], accepted: str, encoding: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Starlette would hold a stream to its end, and only there, the stream says that it is encoded already."""
    monkeypatch.setattr("streamkit.starlette._GZIP_HOLDS", True)
    with client_of(lambda request: kind(["x"])) as client:
        assert client.get("/", headers={"Accept-Encoding": accepted}).headers.get("content-encoding") == encoding


class PassThrough(BaseHTTPMiddleware):
    """What most middleware of applications is built on."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Add a header."""
        response = await call_next(request)
        response.headers["X-Passed"] = "1"
        return response


@pytest.mark.parametrize("raise_after_leave", [False, True])
def test_base_http_middleware_keeps_items_and_disconnects_prompt(*, raise_after_leave: bool) -> None:
    """Through two layers of it an item arrives at once, and a client that leaves is noticed while nothing is sent."""
    source = Watched()
    app = app_of(
        lambda request: EventStreamResponse(source.items()),
        middleware=[Middleware(PassThrough), Middleware(PassThrough)],
    )
    with host(app, raise_after_leave=raise_after_leave) as server, server.open("/") as stream:
        assert stream.head().get("x-passed") == "1"
        source.pipe.put("one")
        stream.read_until(b"one")
        stream.leave()
        assert source.closed.wait(3)
        assert stream.done.wait(3)
        # Starlette's own middleware goes on to end the body of a client that has left.
        assert [error for error in server.errors if not isinstance(error, OSError)] == []


def test_base_http_middleware_passes_an_early_refusal() -> None:
    """A 403 from the generator is a 403 behind it too."""
    with client_of(
        lambda request: EventStreamResponse(forbidden_async()), middleware=[Middleware(PassThrough)]
    ) as client:
        assert client.get("/").status_code == 403


def test_failing_stream_is_raised_to_the_server() -> None:
    """The server gets the source's own exception, for its log, and no end of body."""

    async def fails() -> AsyncIterator[str]:
        yield "one"
        await asyncio.sleep(0)
        raise LookupError("planned")

    with open_stream(app_of(lambda request: EventStreamResponse(fails())), "GET", "/") as events:
        assert events.take() == [Event("one")]
        assert events.wait_closed() == "error"
        assert repr(events.error) == "LookupError('planned')"


def test_test_client_reads_a_finite_stream() -> None:
    """Starlette's test client needs nothing special."""
    with client_of(lambda request: EventStreamResponse(tokens(), end=Event("", event="done"))) as client:
        assert client.get("/").text == "data: one\n\ndata: two\n\nevent: done\ndata: \n\n"


@pytest.mark.skipif(VERSION < (1, 9), reason="this test client reads a body to its end before it returns")
def test_test_client_leaves_an_endless_stream() -> None:
    """Starlette's test client reads the first items of an endless stream and goes."""
    source = Watched()
    source.pipe.put({"n": 1})
    with client_of(lambda request: NDJSONResponse(source.items())) as client:
        with client.stream("GET", "/") as answer:
            assert json.loads(next(answer.iter_lines())) == {"n": 1}
        assert source.closed.wait(3)


def test_blocked_sync_streams_leave_sync_endpoints_answering() -> None:
    """Twice as many sync sources wait as the thread pool has threads, and a sync endpoint still answers."""
    gate = threading.Event()

    def blocked() -> Iterator[str]:
        yield "first"
        gate.wait(30)

    def answer(request: Request) -> Response:
        return PlainTextResponse("here")

    def stream_blocked(request: Request) -> Response:
        return EventStreamResponse(blocked())

    app = Starlette(routes=[Route("/", stream_blocked), Route("/answer", answer)])
    with host(app) as server:
        streams = [server.open("/") for _ in range(80)]
        try:
            for stream in streams:
                stream.read_until(b"first")
            assert server.open("/answer").read_to_end(within=3) == b"here"
        finally:
            gate.set()
        for stream in streams:
            stream.read_to_end()
