"""What a stream holds, for the OpenAPI 3.2 description of an API. Pure; pydantic is needed once types are described.

    @app.get("/job", response_class=EventStreamResponse, responses=responses(EventStreamResponse, Progress))

OpenAPI 3.2 describes one item of a stream by `itemSchema`. An event of an event stream is an object of `data`, `event`,
`id` and `retry`, whose data is a string; JSON in it is described by `contentSchema` (4.14.4, Special Considerations for
Server-Sent Events). The schemas refer to components, which are carried along under `$defs` until `complete` has moved
them where they belong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

from streamkit._engine.response import StreamOptions
from streamkit._format import Format
from streamkit._headers import media_type
from streamkit.sse import Event, EventStream
from streamkit.text import TextStream

__all__ = ["complete", "content", "describe", "responses"]


def __dir__() -> list[str]:
    return __all__


_Schema = dict[str, Any]

_VERSION = "3.2.0"
_COMPONENTS = "#/components/schemas/"
_MESSAGE = "message"  # the type of an event that names none (WHATWG HTML, 9.2.6)


def responses(
    kind: type[StreamOptions], items: Any, *, description: str = "A stream of items."
) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an operation that answers 200 with a stream.

    Args:
        kind: The response class of any adapter, or your subclass of it; one that negotiates has several media types.
        items: See `content`.
        description: What the stream is, for people.

    Raises:
        TypeError: As `content` does; as are ValueError and PydanticUserError.
    """
    return {200: {"description": description, "content": content(kind, items)}}


def content(kind: type[StreamOptions], items: Any) -> dict[str, dict[str, Any]]:
    """Return the `content` of a response: each media type with the schema of one item.

    Args:
        kind: As in `responses`.
        items: What the source yields: a pydantic model, or any type that pydantic knows, such as a dataclass or
            `int | str`. Or a mapping of event types to what their data is, None for an event that says nothing but its
            type; what is yielded without an `Event` around it has the type `message`.

    Raises:
        TypeError: `kind` is no response class of streamkit.
        ValueError: `items` is an empty mapping, or names what can be no event type.
        PydanticUserError: There is no schema of a type.
    """
    if not (isinstance(kind, type) and issubclass(kind, StreamOptions)):
        raise TypeError(f"kind is a response class of streamkit, such as EventStreamResponse; got {kind!r:.200}")
    if isinstance(items, Mapping) and not items:
        raise ValueError("items names no event type; got an empty mapping")
    events: dict[str | None, Any] = {}
    for event, data in items.items() if isinstance(items, Mapping) else [(None, items)]:
        events[event if event is None else Event("", event=event).event] = data
    schemas, components = _schemas(events)
    return {
        media_type(format.media_type): _media(format, events, schemas, components)
        for format in kind.formats or (kind.format,)
    }


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Finish a whole OpenAPI document that streams are described in; change it in place and return it.

    Components of streams are moved to those of the document, under another name where one is taken by something else;
    a `schema` beside an `itemSchema`, which frameworks add, is removed; the version becomes 3.2.0. Twice is as once.

    Raises:
        ValueError: The document is not OpenAPI 3.1 or 3.2: in 3.0 schemas mean something else.
    """
    version = str(document.get("openapi"))
    if not version.startswith(("3.1.", "3.2.")):
        raise ValueError(f"only a document of OpenAPI 3.1 or 3.2 can be completed; got {version!r:.20}")
    if version.startswith("3.1."):
        document["openapi"] = _VERSION
    for media in _media_types(document):
        media.pop("schema", None)
        if "$defs" in media["itemSchema"]:
            components = document.setdefault("components", {}).setdefault("schemas", {})
            media["itemSchema"] = _moved(media["itemSchema"], components)
    return document


def describe(app: Any) -> None:
    """Have a FastAPI application complete its own description, at /openapi.json and wherever else it is shown.

    Args:
        app: The application; what it was told to describe itself by (`app.openapi`) is kept and completed.
    """
    make: Callable[[], dict[str, Any]] = app.openapi
    app.openapi = lambda: complete(make())


def _schemas(events: Mapping[str | None, Any]) -> tuple[dict[str | None, _Schema], _Schema]:
    try:
        from pydantic import TypeAdapter
    except ImportError as exc:  # pragma: no cover - run by a test in another process
        raise ImportError("a type is described by pydantic: pip install pydantic") from exc
    adapters = [(event, "serialization", TypeAdapter(data)) for event, data in events.items() if data is not None]
    made, rest = TypeAdapter.json_schemas(adapters, ref_template=_COMPONENTS + "{model}")  # type: ignore[arg-type]
    return {event: schema for (event, _), schema in made.items()}, rest.get("$defs", {})


def _media(
    format: Format, events: Mapping[str | None, Any], schemas: Mapping[str | None, _Schema], components: _Schema
) -> _Schema:
    if isinstance(format, TextStream):
        return {"schema": {"type": "string"}}  # text has no items
    describe = _event if isinstance(format, EventStream) else _value
    described = [describe(format, event, data, schemas.get(event, {})) for event, data in events.items()]
    item = described[0] if len(described) == 1 else {"oneOf": described}
    return {"itemSchema": {**item, "$defs": components} if components else item}


def _event(format: Format, event: str | None, data: Any, schema: _Schema) -> _Schema:
    """Return the schema of an event as a client has it; its keys and their order are those of FastAPI's own."""
    is_text = data is None or (isinstance(data, type) and issubclass(data, str))
    if is_text and b'"' not in format.encode("text"):  # else it writes text as JSON, too
        text: _Schema = {"type": "string"}
    else:
        text = {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
    rest = {"id": {"type": "string"}, "retry": {"type": "integer", "minimum": 0}}
    named: _Schema = {"type": "string"} if event is None else {"type": "string", "const": event}
    required = ["data"] if event in (None, _MESSAGE) else ["data", "event"]
    return {"type": "object", "properties": {"data": text, "event": named, **rest}, "required": required}


def _value(format: Format, event: str | None, data: Any, schema: _Schema) -> _Schema:
    """Return the schema of a line or record: of an `Event`, which is an object there, only where it has a type."""
    if event in (None, _MESSAGE):
        return schema
    fields = {
        "data": {"type": "string"} if data is None else schema,
        "event": {"type": "string", "const": event},
        "id": {"type": "string"},
    }
    return {"type": "object", "properties": fields, "required": ["data", "event"]}


def _media_types(document: Mapping[str, Any]) -> Iterator[_Schema]:
    """Yield each media type object of a response that has an `itemSchema`."""
    for path in [*document.get("paths", {}).values(), *document.get("webhooks", {}).values()]:
        for operation in path.values():
            if not isinstance(operation, dict):
                continue  # such as the parameters and the summary of a path
            for response in operation.get("responses", {}).values():
                yield from (media for media in response.get("content", {}).values() if "itemSchema" in media)


def _moved(item: _Schema, components: _Schema) -> _Schema:
    """Move the `$defs` of an item to `components`; return the item without.

    Where one of the names is taken by another schema, all of them get a number: they refer to each other.
    """
    own = item["$defs"]
    for number in count(1):
        names = {_COMPONENTS + name: f"{_COMPONENTS}{name}{'' if number == 1 else number}" for name in own}
        moved = {names[_COMPONENTS + name].removeprefix(_COMPONENTS): _renamed(own[name], names) for name in own}
        if all(components.get(name, schema) == schema for name, schema in moved.items()):
            break
    components.update(moved)
    return {key: _renamed(value, names) for key, value in item.items() if key != "$defs"}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    return names.get(value, value) if isinstance(value, str) else value
