"""Streams described by OpenAPI 3.2: valid, resolvable, the same as FastAPI's own, and true of what is sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV32SpecValidator
from pydantic import BaseModel, Field, PydanticUserError, computed_field, create_model

from streamkit import NDJSON, Event, EventDecoder, EventStream, InvalidEventError, JSONSeqDecoder, NDJSONDecoder
from streamkit.fastapi import (
    EventStreamResponse,
    JSONSeqResponse,
    NDJSONResponse,
    NegotiatedResponse,
    TextStreamResponse,
)
from streamkit.openapi import complete, content, describe, responses
from tests.adapters.fastapi_app import get
from tests.engine.interpreter import python
from tests.test_how_to import PAGES, blocks_of, run

RESPONSES = [EventStreamResponse, NDJSONResponse, JSONSeqResponse]
DECODERS: dict[str, Any] = {
    "text/event-stream": EventDecoder,
    "application/x-ndjson": NDJSONDecoder,
    "application/json-seq": JSONSeqDecoder,
}


class Step(BaseModel):
    """A step of a job."""

    name: str
    seconds: float = 1.5

    @computed_field
    def minutes(self) -> float:
        """What is written and never read."""
        return self.seconds / 60


class Progress(BaseModel):
    """How far a job is."""

    percent: int = Field(ge=0, le=100)
    steps: list[Step] = []


class Tree(BaseModel):
    """A node, which has nodes."""

    nodes: list[Tree] = []


class Cat(BaseModel):
    """One of two."""

    kind: Literal["cat"] = "cat"


class Dog(BaseModel):
    """The other."""

    kind: Literal["dog"] = "dog"


@dataclass
class Point:
    """Two numbers."""

    x: int
    y: int


def described(kind: Any, items: Any, *more: tuple[Any, Any]) -> dict[str, Any]:
    """Return the whole description of an app with streams at /0, /1 and so on, found valid."""
    app = FastAPI()

    async def nothing() -> AsyncIterator[Any]:
        yield

    for number, (one, of) in enumerate([(kind, items), *more]):
        app.get(f"/{number}", response_class=one, responses=responses(one, of))(nothing)

    @app.get("/plain")
    def plain() -> Progress:
        return Progress(percent=1)

    describe(app)
    document = app.openapi()
    OpenAPIV32SpecValidator(document).validate()
    check_references(document, document)
    return document


def check_references(part: Any, document: Any) -> None:
    """Follow each reference, and see that none is left that only `complete` understands."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        assert key != "$defs"
        if key == "$ref":
            target = document
            for name in value.removeprefix("#/").split("/"):
                target = target[name]
        check_references(value, document)


def content_of(document: dict[str, Any], path: str = "/0") -> dict[str, Any]:
    """Return the media types of a stream."""
    media: dict[str, Any] = document["paths"][path]["get"]["responses"]["200"]["content"]
    return media


def test_description_is_the_one_that_fastapi_gives_its_own_streams() -> None:
    """An event is described in the same keys, and so is each model, once for the whole document."""
    app = FastAPI()

    @app.get("/theirs", response_class=EventSourceResponse)
    async def theirs() -> AsyncIterable[Progress]:
        yield Progress(percent=1)

    @app.get("/ours", response_class=EventStreamResponse, responses=responses(EventStreamResponse, Progress))
    async def ours() -> AsyncIterator[Progress]:
        yield Progress(percent=1)

    describe(app)
    document = app.openapi()
    OpenAPIV32SpecValidator(document).validate()
    assert content_of(document, "/ours") == content_of(document, "/theirs")
    assert set(document["components"]["schemas"]) == {"Progress", "Step"}


@pytest.mark.parametrize("kind", [*RESPONSES, NegotiatedResponse])
@pytest.mark.parametrize(
    "items",
    [
        Progress,
        Tree,
        Point,
        Annotated[Cat | Dog, Field(discriminator="kind")],
        list[Progress],
        int | None,
        str,
        Any,
        {"progress": Progress, "done": None},
        {"progress": Progress, "tree": Tree, "message": Step},
    ],
)
def test_document_is_valid_whatever_is_streamed(kind: Any, items: Any) -> None:
    """By the schema of OpenAPI 3.2, with each reference resolved and no `schema` beside an `itemSchema`."""
    document = described(kind, items)
    assert document["openapi"] == "3.2.0"
    media = content_of(document)
    assert list(media) == [format.media_type for format in kind.formats or (kind.format,)]
    assert all(list(one) == ["itemSchema"] for one in media.values())


def job() -> Iterator[object]:
    """Yield what the description below names."""
    yield Event(Progress(percent=50, steps=[Step(name="a")]), event="progress", id="1", retry=3000)
    yield Step(name="b")
    yield Event("", event="done")


def validator(schema: dict[str, Any], document: dict[str, Any]) -> Draft202012Validator:
    """Return what judges by a schema of a document."""
    return Draft202012Validator({**schema, "components": document["components"]})


@pytest.mark.parametrize("media_type", DECODERS)
def test_what_is_sent_is_what_is_described(media_type: str) -> None:
    """Each item as a client decodes it, JSON in the data of events included."""
    document = described(NegotiatedResponse, {"progress": Progress, "message": Step, "done": None})
    app = FastAPI()
    app.get("/", response_class=NegotiatedResponse)(job)
    decoder = DECODERS[media_type]()
    items = decoder.feed(get(app, headers={"Accept": media_type}).content) + decoder.close()
    assert len(items) == 3
    schema = content_of(document)[media_type]["itemSchema"]
    for item, of in zip(items, schema["oneOf"], strict=True):
        value = item
        if isinstance(item, Event):
            value = {name: getattr(item, name) for name in ("data", "event", "id") if getattr(item, name) is not None}
            inner = of["properties"]["data"].get("contentSchema")
            if inner is not None:
                validator(inner, document).validate(json.loads(item.data))
        validator(schema, document).validate(value)
        validator(of, document).validate(value)


def test_types_of_events_are_told_apart() -> None:
    """An event of one type with the data of another, or of no type at all, is none that is described."""
    document = described(NDJSONResponse, {"progress": Progress, "done": None})
    judge = validator(content_of(document)["application/x-ndjson"]["itemSchema"], document)
    assert judge.is_valid({"event": "progress", "data": {"percent": 5}})
    for wrong in ({"event": "done", "data": {"percent": 5}}, {"event": "other", "data": ""}, {"percent": 5}):
        assert not judge.is_valid(wrong)


def test_text_is_described_as_it_is_written() -> None:
    """A str is plain in an event stream, and JSON where the format says so."""

    class Tokens(EventStreamResponse):
        format = EventStream(json=True)

    def data(kind: Any) -> Any:
        return content(kind, str)["text/event-stream"]["itemSchema"]["properties"]["data"]

    assert data(EventStreamResponse) == {"type": "string"}
    assert data(Tokens) == {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"type": "string"},
    }


def test_media_type_is_that_of_the_format() -> None:
    """Of a subclass too; plain text has no items, so it has a schema of the whole."""

    class Lines(NDJSONResponse):
        format = NDJSON(media_type="application/jsonl")

    assert list(content(Lines, int)) == ["application/jsonl"]
    assert content_of(described(TextStreamResponse, str)) == {"text/plain": {"schema": {"type": "string"}}}


def test_models_of_one_name_are_kept_apart() -> None:
    """What is taken by another schema gets a number, and so does what refers to it."""
    step = create_model("Step", text=(str, ...))
    optional: Any = step | None
    progress = create_model("Progress", step=(optional, None))
    document = described(NDJSONResponse, Progress, (NDJSONResponse, step), (EventStreamResponse, list[progress]))  # type: ignore[valid-type]
    schemas = document["components"]["schemas"]
    assert set(schemas) == {"Progress", "Step", "Progress2", "Step2"}
    assert content_of(document, "/1")["application/x-ndjson"]["itemSchema"] == {"$ref": "#/components/schemas/Step2"}
    nested = content_of(document, "/2")["text/event-stream"]["itemSchema"]["properties"]["data"]["contentSchema"]
    assert nested["items"] == {"$ref": "#/components/schemas/Progress2"}
    assert {"$ref": "#/components/schemas/Step2"} in schemas["Progress2"]["properties"]["step"]["anyOf"]
    assert "text" in schemas["Step2"]["properties"]
    assert "minutes" in schemas["Step"]["properties"]  # it is what is written, not what would be read


def test_document_may_be_completed_again() -> None:
    """FastAPI keeps the document and hands it out once more; the rest of it is left alone."""
    document = described(NegotiatedResponse, Progress)
    before = json.dumps(document)
    assert json.dumps(complete(document)) == before
    assert "schema" in document["paths"]["/plain"]["get"]["responses"]["200"]["content"]["application/json"]
    assert complete({"openapi": "3.2.1", "paths": {"/": {"summary": "Home"}}})["openapi"] == "3.2.1"


@pytest.mark.parametrize("version", ["3.0.3", "2.0", None])
def test_document_of_an_old_version_is_refused(version: Any) -> None:
    """Its schemas mean something else."""
    with pytest.raises(ValueError, match=f"OpenAPI 3.1 or 3.2 can be completed; got '{version}'"):
        complete({"openapi": version, "paths": {}})


def test_stream_is_described_for_people_too() -> None:
    """In the words of the view, or in general ones."""
    assert responses(NDJSONResponse, int, description="The rows.")[200]["description"] == "The rows."
    assert responses(NDJSONResponse, int)[200]["description"] == "A stream of items."


@pytest.mark.parametrize(
    ("kind", "items", "error", "says"),
    [
        (EventSourceResponse, Progress, TypeError, "kind is a response class of streamkit"),
        (EventStream(), Progress, TypeError, "kind is a response class of streamkit"),
        (EventStreamResponse, {}, ValueError, "items names no event type"),
        (EventStreamResponse, {"a\nb": Progress}, InvalidEventError, "event must not hold a line break"),
        (EventStreamResponse, {"progress": EventStream}, PydanticUserError, "EventStream"),
    ],
)
def test_wrong_description_is_refused(kind: Any, items: Any, error: type[Exception], says: str) -> None:
    """Where the route is written, not where the document is asked for."""
    with pytest.raises(error, match=says):
        responses(kind, items)


def test_missing_pydantic_is_said_with_its_cure() -> None:
    """The module itself needs none."""
    code = """
    import sys
    sys.modules["pydantic"] = None
    from streamkit.openapi import content
    from streamkit.wsgi import NDJSONResponse
    try:
        content(NDJSONResponse, int)
    except ImportError as exc:
        print(exc)
    """
    assert python(code, prelude="")[0] == "a type is described by pydantic: pip install pydantic\n"


def test_page_does_what_it_says() -> None:
    """docs/how-to/documented-streams.md: its blocks run, and the description is the one that it prints."""
    names = run(*blocks_of("documented-streams.md"))
    document = get(names["app"], "/openapi.json").json()
    OpenAPIV32SpecValidator(document).validate()
    printed = (
        (PAGES / "documented-streams.md").read_text(encoding="utf-8").partition("```json\n")[2].partition("```")[0]
    )
    assert content_of(document, "/job") == json.loads(printed)
    assert len(content_of(document, "/export")) == 3
    assert get(names["app"], "/job").text == 'event: progress\ndata: {"percent":50}\n\nevent: done\ndata: \n\n'
    ninja = json.loads(json.dumps(names["api"].get_openapi_schema(path_prefix="/api/")))
    OpenAPIV32SpecValidator(ninja).validate()
    assert list(ninja["components"]["schemas"]) == ["Progress"]
