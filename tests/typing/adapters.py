"""The responses and their neighbours, by the same names in each adapter, each of its host's own type."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import django.http
import fastapi
import flask
import starlette.requests
import starlette.responses

import streamkit.asgi
import streamkit.django
import streamkit.fastapi
import streamkit.flask
import streamkit.starlette
import streamkit.wsgi
from streamkit import NDJSON, Event, EventStream, Format, Pipe, StreamLimit, StreamPolicy, StreamStats


def words() -> Iterator[str]:
    """Give text."""
    yield "one"


async def words_async() -> AsyncIterator[Event]:
    """Give events."""
    yield Event("one")


async def answer() -> str:
    """Return what is no stream."""
    return "one"


def why(reason: str, stats: StreamStats) -> None:
    """Note why a stream has ended."""


def told(error: Exception) -> Event:
    """Say that a stream has failed."""
    return Event(str(error), event="failed")


def options() -> None:
    """Each option is a keyword of its own type."""
    streamkit.wsgi.EventStreamResponse(
        words(),
        format=EventStream(json=True),
        policy=StreamPolicy(keepalive=5),
        end=Event("", event="done"),
        on_error=told,
        on_close=why,
        key=("ann", 1),
        limit=StreamLimit(5),
    )
    streamkit.wsgi.NegotiatedResponse(words(), formats=(EventStream(), NDJSON()))
    streamkit.wsgi.EventStreamResponse(words(), keepalive=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    streamkit.wsgi.EventStreamResponse(words(), format="json")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    streamkit.wsgi.EventStreamResponse(words(), format=NDJSON)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    streamkit.wsgi.EventStreamResponse(words(), policy={"keepalive": 5})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    streamkit.wsgi.EventStreamResponse(words(), key=["ann"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    streamkit.wsgi.EventStreamResponse(words(), on_close=told)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    streamkit.wsgi.NegotiatedResponse(words(), formats=NDJSON())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def content() -> None:
    """Iterables of both kinds, a pipe, and what was primed; neither a function nor a coroutine."""
    streamkit.asgi.EventStreamResponse(words())
    streamkit.asgi.EventStreamResponse(words_async())
    streamkit.asgi.EventStreamResponse([1, 2])
    streamkit.asgi.EventStreamResponse(Pipe())
    streamkit.wsgi.EventStreamResponse(streamkit.wsgi.primed(words(), timeout=1))
    streamkit.asgi.EventStreamResponse(words)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    streamkit.asgi.EventStreamResponse(answer())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    streamkit.asgi.EventStreamResponse(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    streamkit.wsgi.primed(words)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    streamkit.flask.primed(words)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    streamkit.django.primed(words)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Tokens(streamkit.fastapi.EventStreamResponse):
    """The defaults of an app."""

    format = EventStream(json=True)
    end = Event("", event="done")
    policy = StreamPolicy(max_age=600)
    limit = StreamLimit(500)


class Rows(streamkit.flask.EventStreamResponse):
    """A subclass may have another format than its base."""

    format = NDJSON()


class Wrong(streamkit.flask.EventStreamResponse):
    """What is no format is none for the checkers either."""

    format = "json"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


def in_flask(app: flask.Flask) -> flask.Response:
    """Each response is Flask's own."""
    assert_type(streamkit.flask.last_event_id(flask.request), str | None)
    app.wsgi_app = streamkit.flask.StreamingMiddleware(app.wsgi_app)  # type: ignore[method-assign]  # mypy, of any method
    response = streamkit.flask.EventStreamResponse(streamkit.flask.primed(words()), 201, {"X-A": "b"})
    response.set_cookie("a", "b")
    streamkit.flask.NDJSONResponse(words(), status_code=201)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    return response


async def in_django(request: django.http.HttpRequest) -> django.http.StreamingHttpResponse:
    """Each response is Django's own."""
    assert_type(streamkit.django.last_event_id(request), str | None)
    streamkit.django.EventStreamResponse(await streamkit.django.primed(words_async()), request=request)
    streamkit.django.EventStreamResponse(words(), request)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return streamkit.django.JSONSeqResponse(words(), request=request)


async def in_starlette(request: starlette.requests.Request) -> starlette.responses.Response:
    """Each response is Starlette's own."""
    assert_type(streamkit.starlette.last_event_id(request), str | None)
    return streamkit.starlette.TextStreamResponse(await streamkit.starlette.primed(words()), status_code=201)


def in_fastapi(app: fastapi.FastAPI) -> None:
    """An endpoint returns a response, or yields behind `response_class`."""
    app.add_middleware(streamkit.fastapi.StreamingMiddleware, policy=StreamPolicy())

    @app.get("/returned")
    async def returned(last: streamkit.fastapi.LastEventID = None) -> streamkit.fastapi.EventStreamResponse:
        assert_type(last, str | None)
        return streamkit.fastapi.EventStreamResponse(words_async())

    @app.get("/yielded", response_class=Tokens)
    async def yielded() -> AsyncIterator[Event]:
        yield Event("one")

    del returned, yielded


def in_none(environ: dict[str, Any], scope: dict[str, Any]) -> None:
    """Under plain WSGI and ASGI the request is what the server gives."""
    assert_type(streamkit.wsgi.last_event_id(environ), str | None)
    assert_type(streamkit.asgi.last_event_id(scope), str | None)
    known: Format = streamkit.wsgi.EventStreamResponse(words()).format
    asyncio.run(streamkit.asgi.EventStreamResponse(words())(scope, None, None))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    del known
