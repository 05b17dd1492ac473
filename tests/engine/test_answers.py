"""Answers without a stream, or with one: over the cap, HEAD, 406, and the head of a stream."""

import asyncio
from contextvars import copy_context
from typing import Any

import pytest

from streamkit import Event, EventStream, StreamPolicy, asgi, set_max_threads, wsgi
from streamkit._engine.life import Life
from streamkit._engine.response import refusal
from tests.engine.drive import Client, WSGIClient, run, scope, start, until
from tests.engine.drive import response as asgi_response
from tests.engine.sources import Gated


@pytest.mark.parametrize(
    ("method", "accept", "status"),
    [
        ("GET", "text/event-stream", 200),
        ("GET", "text/event-stream, */*", 200),
        ("GET", "*/*", 503),
        ("POST", "text/event-stream", 503),
    ],
)
def test_stream_over_the_cap_is_told_when_to_come_back(method: str, accept: str, status: int) -> None:
    """A browser's EventSource never comes back after a 503, so it gets a retry and a clean end instead."""
    set_max_threads(1)
    gated, refused = Gated(), Gated()
    holder = WSGIClient(gated.items())
    client = WSGIClient(refused.items(), method=method, accept=accept)
    body = client.read()
    assert int(client.status[:3]) == status
    if status == 200:
        assert client.headers["Content-Type"] == "text/event-stream"
        assert body.startswith(b"retry: ")
        assert body.endswith(b"\n")
        assert 2_000 <= int(body.split()[1]) <= 10_000
    else:
        assert 2 <= int(client.headers["Retry-After"]) <= 10
        assert b"(1)" in body
    assert refused.seen == []
    gated.gate.set()
    assert holder.read() == b"data: a\n\ndata: b\n\n"
    assert WSGIClient(iter("c")).read() == b"data: c\n\n"


def test_stream_over_the_cap_is_refused_before_its_head_on_asgi() -> None:
    """The same two answers."""

    async def work() -> None:
        set_max_threads(1)
        gated, first = Gated(), Client()
        task = start(gated.items(), first)
        await first.arrived(1)
        for accept, status in (("text/event-stream", 200), ("*/*", 503)):
            client = Client()
            await asgi_response(iter("x"))(scope(accept=accept), client.receive, client.send)
            assert client.head[0] == status
            assert client.ended
        gated.gate.set()
        await task

    run(work())


def test_event_stream_over_the_cap_keeps_the_headers_of_the_view() -> None:
    """Without them a browser on another origin would not read the time to come back."""
    allowed = {"Access-Control-Allow-Origin": "https://example.org"}

    async def on_asgi() -> None:
        client = Client()
        response = asgi.EventStreamResponse(iter("x"), headers=allowed)
        await response(scope(accept="text/event-stream"), client.receive, client.send)
        assert client.head[1]["access-control-allow-origin"] == "https://example.org"

    set_max_threads(1)
    gated = Gated()
    holder = WSGIClient(gated.items())
    assert WSGIClient(["x"], accept="text/event-stream", headers=allowed).headers.items() >= allowed.items()
    run(on_asgi())
    gated.gate.set()
    holder.read()


def test_format_other_than_event_stream_over_the_cap_is_503() -> None:
    """Only an EventSource needs to be fooled."""
    set_max_threads(1)
    gated = Gated()
    holder = WSGIClient(gated.items())
    policy = StreamPolicy(keepalive=5)
    client = WSGIClient(["x"], kind=wsgi.NDJSONResponse, policy=policy, accept="text/event-stream")
    client.read()
    assert client.status == "503 Service Unavailable"
    gated.gate.set()
    holder.read()


@pytest.mark.parametrize("content", [["a"], iter("a")])
def test_head_request_starts_no_source(content: Any) -> None:
    """Headers only, on both protocols."""
    gated = Gated()
    client = WSGIClient(gated.items(), method="HEAD", end=Event(""))
    assert client.read() == b""
    assert client.status == "200 OK"
    assert client.headers["Content-Type"] == "text/event-stream"
    assert gated.seen == []


def test_last_event_id_is_read_from_header_and_query() -> None:
    """The header wins; both protocols agree."""
    request = {**scope(query=b"last_event_id=q"), "headers": [(b"last-event-id", "é".encode())]}
    assert asgi.last_event_id(request) == "é"
    assert asgi.last_event_id(scope(query=b"last_event_id=q")) == "q"
    assert asgi.last_event_id(scope()) is None
    environ: Any = {"HTTP_LAST_EVENT_ID": "é".encode().decode("latin-1"), "QUERY_STRING": "last_event_id=q"}
    assert wsgi.last_event_id(environ) == "é"


def test_asgi_head_and_not_acceptable_are_answered_without_a_stream() -> None:
    """406 lists the formats; HEAD has the headers of the stream."""

    async def work() -> None:
        for method, accept, status in (("HEAD", "*/*", 200), ("GET", "text/html", 406)):
            gated, client = Gated(), Client()
            built = asgi_response(gated.items(), kind=asgi.NegotiatedResponse)
            await built(scope(method, accept), client.receive, client.send)
            assert client.head[0] == status
            assert client.head[1]["vary"] == "Accept"
            assert (client.body == b"") == (method == "HEAD")
            assert client.ended
            assert gated.seen == []

    run(work())


def test_head_and_an_empty_body_event_leave_before_the_first_item() -> None:
    """Some servers hold the head until a body event follows it."""

    async def work() -> None:
        gated, client = Gated(), Client()
        gate = asyncio.Event()

        async def silent() -> Any:
            await gate.wait()
            yield "a"

        task = start(silent(), client, status=201, headers={"X-Own": "1", "Connection": "close"})
        await until(lambda: len(client.events) == 2)
        assert client.head[0] == 201
        assert client.head[1]["x-own"] == "1"
        assert "connection" not in client.head[1]
        assert client.head[1]["cache-control"] == "no-cache, no-transform"
        assert client.events[1] == {"type": "http.response.body", "body": b"", "more_body": True}
        gate.set()
        await task
        assert gated.seen == []

    run(work())


def test_refused_browser_gets_the_headers_of_the_stream_but_not_its_encoding() -> None:
    """What it is sent is not compressed."""
    own = [("Content-Type", "text/event-stream"), ("X-Own", "1"), ("content-encoding", "gzip")]
    life = Life(copy_context(), format=EventStream(), is_browser=True)
    answer = refusal(life, 1, own)
    assert answer.status == 200
    assert answer.headers == own[:2]
