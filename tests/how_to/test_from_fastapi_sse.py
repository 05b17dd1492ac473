"""docs/how-to/migrating-from-fastapi-sse.md: both programs send the same, and the tables say what is."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit import EncodeError, Event, EventStream, InvalidEventError
from streamkit.testing import open_stream
from tests.how_to.migration import arguments, described, events, shown, unnamed
from tests.rig.requirements import needs
from tests.test_how_to import blocks_of, run

PAGE = "migrating-from-fastapi-sse.md"
(MIDDLEWARE,) = blocks_of(PAGE, "First the middleware")
(BEFORE,) = blocks_of(PAGE, "Before")
(AFTER,) = blocks_of(PAGE, "After")
STEPS = pytest.mark.parametrize(
    "program", [(BEFORE,), (BEFORE, MIDDLEWARE), (AFTER,)], ids=["before", "between", "after"]
)

pytestmark = needs("fastapi")


@STEPS
def test_each_step_sends_the_same(program: tuple[str, ...]) -> None:
    """Events, tokens and lines; and the rest after an id that a client has kept."""
    app = run(*program)["app"]
    prices = [("price", f'{{"cents":{number}00}}', str(number)) for number in (1, 2, 3)]
    done = ("done", "that is all", None)
    assert shown(events(app, "/prices")) == [*prices, done]
    assert shown(events(app, "/prices", **{"Last-Event-ID": "2"})) == [prices[2], done]
    assert shown(events(app, "/tokens")) == [(None, '"You said:"', None), (None, r'"\n"', None)]
    with open_stream(app, "GET", "/export") as lines:
        assert lines.headers["content-type"] == "application/jsonl"
        assert list(lines) == [{"cents": 0}, {"cents": 1}, {"cents": 2}]


@STEPS
def test_each_step_describes_its_items(program: tuple[str, ...]) -> None:
    """The schema of an item is in the OpenAPI document of each."""
    paths = run(*program)["app"].openapi()["paths"]
    for path, media_type in (("/prices", "text/event-stream"), ("/export", "application/jsonl")):
        assert "itemSchema" in paths[path]["get"]["responses"]["200"]["content"][media_type]


def test_tables_name_every_public_name_and_argument() -> None:
    """Of the version that is installed."""
    from fastapi import sse

    public = [name for name, value in vars(sse).items() if getattr(value, "__module__", "") == sse.__name__]
    public = [name for name in public if not name.startswith("_")]
    assert {"EventSourceResponse", "ServerSentEvent", "format_sse_event"} <= set(public)
    names = [*public, "KEEPALIVE_COMMENT", "_PING_INTERVAL"]
    names += [*arguments(sse.ServerSentEvent), *arguments(sse.format_sse_event)]
    assert unnamed(PAGE, names) == []


@described("fastapi", 0, 165)
def test_tables_say_what_either_sends() -> None:
    """What is not in the programs."""
    from fastapi import FastAPI
    from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, ServerSentEvent, format_sse_event
    from pydantic import BaseModel, Field

    class Model(BaseModel):
        cents: int = Field(default=1, serialization_alias="c")

    app = FastAPI()

    @app.get("/old", response_class=EventSourceResponse)
    async def old() -> Any:
        yield {"cents": float("nan")}
        yield Model()
        yield ServerSentEvent(data=Model())
        yield ServerSentEvent()

    with open_stream(app, "GET", "/old") as stream:
        assert stream.read() == b'data: {"cents": null}\n\ndata: {"c": 1}\n\ndata: {"cents":1}\n\n\n'
    new = EventStream().encode
    with pytest.raises(EncodeError):
        new({"cents": float("nan")})
    assert new(Event(Model())) == b'data: {"c":1}\n\n'
    with pytest.raises(InvalidEventError):
        Event()
    assert new(Event(None)) == b"data: null\n\n"
    assert set(new(Event("x", event="e", id="1"))) == set(format_sse_event(data_str="x", event="e", id="1"))
    assert KEEPALIVE_COMMENT == b": ping\n\n"
