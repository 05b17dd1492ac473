"""What FastAPI's endpoints stream, returned or yielded, and what its OpenAPI says about it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from streamkit import NDJSON, Event, EventStream, StreamPolicy
from streamkit.fastapi import (
    EventStreamResponse,
    JSONSeqResponse,
    LastEventID,
    NDJSONResponse,
    NegotiatedResponse,
    TextStreamResponse,
    last_event_id,
)
from tests.adapters.fastapi_app import Row, async_items, get, sync_items

ITEMS = 'id: 1\ndata: a\n\ndata: {"b":1}\n\ndata: {"n":2}\n\ndata: {"x":3}\n\n'


@pytest.mark.parametrize("source", [sync_items, async_items])
def test_endpoint_returns_the_response(source: Any) -> None:
    """`return EventStreamResponse(…)` works in `def` and `async def` endpoints, with sync and async sources."""
    app = FastAPI()

    @app.get("/sync", status_code=201)
    def sync_endpoint() -> EventStreamResponse:
        return EventStreamResponse(source(), 202)

    @app.get("/async")
    async def async_endpoint() -> EventStreamResponse:
        return EventStreamResponse(source())

    assert get(app, "/sync").text == get(app, "/async").text == ITEMS
    assert get(app, "/sync").status_code == 202


@pytest.mark.parametrize("endpoint", [sync_items, async_items])
def test_endpoint_yields_items_of_any_kind(endpoint: Any) -> None:
    """With `response_class` the endpoint is the source; its items are encoded by the format, whatever they are."""
    app = FastAPI()
    app.get("/", response_class=EventStreamResponse, status_code=201)(endpoint)
    answer = get(app)
    assert (answer.status_code, answer.text) == (201, ITEMS)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache, no-transform"


def test_return_annotation_of_a_yielding_endpoint_changes_nothing() -> None:
    """Items are not filtered through the annotated type, and it keeps no route from being built."""
    app = FastAPI()

    @app.get("/", response_class=NDJSONResponse)
    async def rows() -> AsyncIterator[Row]:
        yield Row(n=1)
        yield {"n": 2, "more": True}  # type: ignore[misc]

    assert get(app).text == '{"n":1}\n{"n":2,"more":true}\n'


def apologise(exc: Exception) -> object:
    """Tell the client, in our own words, that the stream failed."""
    return Event("sorry", event="failed")


def test_class_attributes_are_the_options_of_a_yielding_endpoint() -> None:
    """FastAPI passes no keyword to a response class, so a subclass carries format, policy, end and on_error."""

    class Chat(EventStreamResponse):
        format = EventStream(json=True)
        policy = StreamPolicy(retry=1500)
        end = Event("", event="done")
        on_error = staticmethod(apologise)

    app = FastAPI()

    @app.get("/", response_class=Chat)
    async def chat(fail: bool = False) -> AsyncIterator[str]:
        yield "\n"
        await asyncio.sleep(0)
        if fail:
            raise LookupError

    assert get(app).text == 'retry: 1500\ndata: "\\n"\n\nevent: done\ndata: ""\n\n'
    assert get(app, "/?fail=1").text.endswith('event: failed\ndata: "sorry"\n\n')


def test_yielding_endpoint_negotiates_its_format() -> None:
    """The Accept header of the request chooses among the formats, without the request being passed."""
    app = FastAPI()
    app.get("/", response_class=NegotiatedResponse)(sync_items)
    answer = get(app, headers={"Accept": "application/x-ndjson"})
    assert answer.text.splitlines()[1] == '{"b":1}'
    assert get(app, headers={"Accept": "image/png"}).status_code == 406


def test_response_class_serves_a_whole_router() -> None:
    """A router's default response class turns each of its yielding endpoints into a stream."""
    router = APIRouter(default_response_class=NDJSONResponse)
    router.get("/rows")(sync_items)
    app = FastAPI()
    app.include_router(router, prefix="/api")
    assert get(app, "/api/rows").headers["content-type"] == "application/x-ndjson"


@pytest.mark.parametrize("kind", [EventStreamResponse, NDJSONResponse, JSONSeqResponse, TextStreamResponse])
def test_media_type_stands_in_openapi(kind: Any) -> None:
    """The description of a route names what it streams, without a charset."""
    app = FastAPI()
    app.get("/", response_class=kind)(sync_items)
    content = app.openapi()["paths"]["/"]["get"]["responses"]["200"]["content"]
    assert list(content) == [kind.format.media_type.partition(";")[0]]


def test_media_type_of_a_subclass_stands_in_openapi() -> None:
    """A format of one's own is described by its own media type."""

    class Lines(NDJSONResponse):
        format = NDJSON(media_type="application/jsonl")

    app = FastAPI()
    app.get("/", response_class=Lines)(sync_items)
    assert list(app.openapi()["paths"]["/"]["get"]["responses"]["200"]["content"]) == ["application/jsonl"]


def resuming_app() -> FastAPI:
    """Return an application that tells the last event ID it was given."""
    app = FastAPI()

    @app.get("/", response_class=EventStreamResponse)
    async def with_default(last: LastEventID = None) -> AsyncIterator[str]:
        yield repr(last)

    @app.get("/plain", response_class=EventStreamResponse)
    def without_default(last: LastEventID) -> Iterator[str]:
        yield repr(last)

    return app


@pytest.mark.parametrize("path", ["/", "/plain"])
def test_last_event_id_is_a_parameter(path: str) -> None:
    """The header wins over the query parameter, both are UTF-8, and a client that starts anew has none."""
    app = resuming_app()
    header = {b"Last-Event-ID": "é9".encode()}
    assert get(app, path).text == "data: None\n\n"
    assert get(app, f"{path}?last_event_id=%C3%A97").text == "data: 'é7'\n\n"
    assert get(app, f"{path}?last_event_id=7", headers=header).text == "data: 'é9'\n\n"


def test_last_event_id_is_described_in_openapi() -> None:
    """Both ways to send the id stand in the description, both optional."""
    described = resuming_app().openapi()["paths"]["/"]["get"]["parameters"]
    assert {(item["in"], item["name"], item["required"]) for item in described} == {
        ("header", "Last-Event-ID", False),
        ("query", "last_event_id", False),
    }
    assert last_event_id.__module__ == "streamkit.starlette"
