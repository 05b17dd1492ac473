"""What is Starlette's own about the responses of `streamkit.starlette`; what all adapters share is in the contract."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from streamkit import NDJSON, StreamPolicy
from streamkit.starlette import (
    EventStreamResponse,
    JSONSeqResponse,
    NDJSONResponse,
    NegotiatedResponse,
    TextStreamResponse,
    last_event_id,
    primed,
)
from tests.adapters.starlette_app import app_of, client_of, forbidden, forbidden_async
from tests.adapters.watched import Watched, host


def test_response_is_a_streaming_response_to_middleware() -> None:
    """Code that asks for Starlette's class with isinstance finds it."""
    assert isinstance(EventStreamResponse([]), StreamingResponse)


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        (EventStreamResponse, "text/event-stream"),
        (NDJSONResponse, "application/x-ndjson"),
        (JSONSeqResponse, "application/json-seq"),
        (TextStreamResponse, "text/plain; charset=utf-8"),
    ],
)
def test_content_type_is_the_formats_own(kind: type[Response], content_type: str) -> None:
    """Starlette adds no charset to an event stream, and the format alone says its media type."""
    with client_of(lambda request: kind(["x"])) as client:
        assert client.get("/").headers["content-type"] == content_type
    assert kind(["x"]).media_type == content_type


def test_status_headers_and_cookies_work_as_in_any_response() -> None:
    """What a view sets on the response after it was built reaches the client and replaces our defaults."""

    def build(request: Request) -> Response:
        response = EventStreamResponse(["x"], 207, {"X-Built": "1", "Connection": "close"})
        response.headers["X-Later"] = "2"
        response.headers["cache-control"] = "no-store"
        response.headers["content-length"] = "1"
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    with client_of(build) as client:
        answer = client.get("/")
    assert answer.status_code == 207
    assert (answer.headers["x-built"], answer.headers["x-later"]) == ("1", "2")
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert len(answer.headers.get_list("set-cookie")) == 2
    assert "content-length" not in answer.headers
    assert "connection" not in answer.headers
    assert answer.headers["x-accel-buffering"] == "no"


def test_media_type_replaces_the_content_type() -> None:
    """Starlette's argument works, for code that changes from StreamingResponse."""
    response = NDJSONResponse([1], media_type="application/jsonl")
    assert response.headers["content-type"] == response.media_type == "application/jsonl"


def test_class_attributes_are_the_defaults_of_a_subclass() -> None:
    """A subclass sets format, policy and end for a whole application."""

    class Rows(NDJSONResponse):
        format = NDJSON(media_type="application/jsonl")
        policy = StreamPolicy(buffer_size=1)
        end = "end"

    with client_of(lambda request: Rows([1])) as client:
        answer = client.get("/")
    assert answer.headers["content-type"] == Rows.media_type == "application/jsonl"
    assert answer.content == b'1\n"end"\n'


def test_background_task_runs_after_the_last_item() -> None:
    """A background task finds the stream completed."""
    order: list[str] = []

    def items() -> Iterator[str]:
        yield "x"
        order.append("item")

    with client_of(lambda request: EventStreamResponse(items(), background=BackgroundTask(order.append, "task"))) as c:
        c.get("/")
    assert order == ["item", "task"]


def test_background_task_runs_when_the_client_has_left() -> None:
    """A client that leaves ends the stream, not what was to be done after it."""
    source, ran = Watched(), threading.Event()
    app = app_of(lambda request: EventStreamResponse(source.items(), background=BackgroundTask(ran.set)))
    with host(app) as server, server.open("/") as stream:
        source.pipe.put("x")
        stream.read_until(b"x")
        stream.leave()
        assert ran.wait(3)
        assert source.closed.is_set()


def test_head_request_gets_headers_only() -> None:
    """Starlette routes HEAD to a GET endpoint; the source is not started and the answer ends at once."""
    started: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            started.append(1)
            yield 1

    with client_of(lambda request: EventStreamResponse(endless())) as client:
        answer = client.head("/")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "text/event-stream", b"")
    assert not started


def test_websocket_is_refused_with_what_to_do_instead() -> None:
    """A stream given to a WebSocket as its denial fails in words, not by a missing key."""

    async def refuse(socket: WebSocket) -> None:
        await EventStreamResponse(["x"])(socket.scope, socket.receive, socket.send)

    app = Starlette(routes=[WebSocketRoute("/", refuse)])
    with (
        TestClient(app) as client,
        pytest.raises(RuntimeError, match="'websocket': over a WebSocket"),
        client.websocket_connect("/"),
    ):
        pass


@pytest.mark.parametrize("source", [forbidden, forbidden_async])
def test_http_exception_before_the_first_item_keeps_its_status(source: Callable[[], Any]) -> None:
    """A permission error raised inside the generator is a 403 to the client."""
    with client_of(lambda request: EventStreamResponse(source())) as client:
        answer = client.get("/")
    assert (answer.status_code, answer.text) == (403, "not yours")


@pytest.mark.parametrize("source", [forbidden, forbidden_async])
def test_exception_handlers_see_what_the_source_raises_first(source: Callable[[], Any]) -> None:
    """An application's own handler writes the answer."""

    async def handler(request: Request, exc: Exception) -> Response:
        return JSONResponse({"why": str(getattr(exc, "detail", exc))}, status_code=418)

    with client_of(
        lambda request: EventStreamResponse(source()), exception_handlers={HTTPException: handler}
    ) as client:
        answer = client.get("/")
    assert (answer.status_code, answer.json()) == (418, {"why": "not yours"})


def test_primed_source_that_refuses_late_keeps_its_status() -> None:
    """A source that waits before it refuses is a 403 when the view has primed it."""

    async def refuses_late() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        raise HTTPException(403)
        yield ""

    async def endpoint(request: Request) -> Response:
        return EventStreamResponse(await primed(refuses_late()))

    with TestClient(Starlette(routes=[Route("/", endpoint)])) as client:
        assert client.get("/").status_code == 403


def test_negotiated_response_reads_the_request_it_answers() -> None:
    """Without `request` the format is chosen when the response is called, and caches are told."""
    with client_of(lambda request: NegotiatedResponse(["x"])) as client:
        answers = {accept: client.get("/", headers={"Accept": accept}) for accept in ("application/x-ndjson", "*/*")}
        refused = client.get("/", headers={"Accept": "image/png"})
    assert [answer.headers["content-type"] for answer in answers.values()] == [
        "application/x-ndjson",
        "text/event-stream",
    ]
    assert answers["application/x-ndjson"].content == b'"x"\n'
    assert answers["*/*"].headers["vary"] == "Accept"
    assert refused.status_code == 406
    assert "application/json-seq" in refused.text


def test_negotiated_response_knows_its_format_when_given_the_request() -> None:
    """With `request` the headers are right before the response is returned."""
    seen: list[str] = []

    def build(request: Request) -> Response:
        response = NegotiatedResponse(["x"], request=request)
        seen.append(response.headers["content-type"])
        return response

    with client_of(build) as client:
        assert client.get("/", headers={"Accept": "application/json-seq"}).content == b'\x1e"x"\n'
    assert seen == ["application/json-seq"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({"Last-Event-ID": "ünï"}, "ünï"), ({}, "query ü"), ({"Last-Event-ID": ""}, "query ü")],
)
def test_last_event_id_is_utf8_and_the_header_wins(headers: dict[str, str], expected: str) -> None:
    """An id of any script arrives as it was sent; the query parameter serves a first connection."""
    raw = {name.encode(): value.encode() for name, value in headers.items()}
    with client_of(lambda request: JSONResponse(last_event_id(request))) as client:
        assert client.get("/?last_event_id=query%20%C3%BC", headers=raw).json() == expected
