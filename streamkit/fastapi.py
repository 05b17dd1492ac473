"""Streaming responses for FastAPI, for endpoints that return them and for endpoints that yield.

    @app.get("/chat")
    async def chat() -> EventStreamResponse:
        return EventStreamResponse(tokens(), end=Event("", event="done"))

    @app.get("/chat", response_class=EventStreamResponse)
    async def chat() -> AsyncIterator[Event]:
        yield Event("hello")

FastAPI passes no options to a `response_class`: set them as attributes of a subclass, and headers in a dependency.

    class Tokens(EventStreamResponse):
        end = Event("", event="done")
        format = EventStream(json=True)

    @app.get("/chat", response_class=Tokens)

Without `response_class` an endpoint that yields is FastAPI's own: JSON lines, of which streamkit never hears. What an
endpoint yields is encoded by the format, not validated against the return annotation. What it raises before its first
item becomes the error response that it is in any endpoint. Dependencies that yield are closed after the stream, so they
should hold no database connection.
"""

from __future__ import annotations

import inspect
from typing import Annotated, TypeAlias

from fastapi import Depends, Header, Query, Request
from fastapi import routing as _routing

from streamkit import starlette
from streamkit._engine.prime import primed
from streamkit._engine.response import StreamOptions
from streamkit.starlette import StreamingMiddleware, last_event_id

__all__ = [
    "EventStreamResponse",
    "JSONSeqResponse",
    "LastEventID",
    "NDJSONResponse",
    "NegotiatedResponse",
    "StreamingMiddleware",
    "TextStreamResponse",
    "last_event_id",
    "primed",
]


def __dir__() -> list[str]:
    return __all__


async def _last_event_id(
    request: Request,
    _header: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The id after which the event stream is to go on.")
    ] = None,
    _query: Annotated[
        str | None, Query(alias="last_event_id", description="The same for a first connection; the header wins.")
    ] = None,
) -> str | None:
    return last_event_id(request)


LastEventID: TypeAlias = Annotated[str | None, Depends(_last_event_id)]
"""The id after which the client wants to go on, or None: `async def chat(last: LastEventID = None)`.

Both ways to send it, header and query parameter, are in the OpenAPI description of the route.
"""


class _Endpoint(StreamOptions):
    """Streams the generator of an endpoint itself, not FastAPI's wrapper around it."""

    def _prepare(self, content: object, **given: object) -> None:
        super()._prepare(_behind_wrapper(content), **given)


def _behind_wrapper(content: object) -> object:
    """Return the generator of an endpoint that yields.

    FastAPI hands an async one over in a generator of its own, which gives the loop a turn after each item and does not
    close what it wraps. It has not started, so the one generator among its variables is the endpoint's. Where FastAPI
    has come to do otherwise, its wrapper is streamed: slower, and the endpoint's `finally` may run in another task.
    """
    if not inspect.isasyncgen(content) or content.ag_frame is None or content.ag_running:
        return content
    if content.ag_frame.f_globals is not vars(_routing):
        return content
    wrapped = [value for value in content.ag_frame.f_locals.values() if inspect.isasyncgen(value)]
    return wrapped[0] if len(wrapped) == 1 else content


class EventStreamResponse(_Endpoint, starlette.EventStreamResponse):
    """Server-sent events (WHATWG HTML, 9.2); `streamkit.wsgi.EventStreamResponse` lists the options."""


class NDJSONResponse(_Endpoint, starlette.NDJSONResponse):
    """NDJSON: one JSON value a line."""


class JSONSeqResponse(_Endpoint, starlette.JSONSeqResponse):
    """A JSON text sequence (RFC 7464)."""


class TextStreamResponse(_Endpoint, starlette.TextStreamResponse):
    """Plain text as it comes; or, with `format`, a format of your own: `format=CSV()`."""


class NegotiatedResponse(_Endpoint, starlette.NegotiatedResponse):
    """The format that the Accept header asks for; 406 where it is none of `formats`."""
