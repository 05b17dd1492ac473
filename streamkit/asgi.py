"""Streaming responses for plain ASGI 3: each is an ASGI app.

    async def app(scope, receive, send):
        await EventStreamResponse(tokens())(scope, receive, send)

The runtime is asyncio. Sync sources run in a thread of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

from streamkit import NDJSON, EventStream, Format, JSONSeq, TextStream
from streamkit._engine.asgi_headers import accepted, header, raw_headers
from streamkit._engine.foreign.asgi import StreamingMiddleware
from streamkit._engine.foreign.mark import cut_off, step_aside
from streamkit._engine.prime import Content, primed
from streamkit._engine.response import Answer, Headers, Negotiated, Options, StreamOptions, refusal
from streamkit._engine.serve import Message, Receive, Send, check_asyncio, serve
from streamkit.errors import TooManyStreamsError
from streamkit.headers import last_event_id_of

__all__ = [
    "EventStreamResponse",
    "JSONSeqResponse",
    "NDJSONResponse",
    "NegotiatedResponse",
    "StreamingMiddleware",
    "TextStreamResponse",
    "last_event_id",
    "primed",
]


def __dir__() -> list[str]:
    return __all__


Scope = Message


def last_event_id(scope: Scope) -> str | None:
    """Return the id after which the client wants to go on, or None for a client that starts anew.

    The header Last-Event-ID (WHATWG HTML, 9.2.4), else the query parameter `last_event_id`.
    """
    return last_event_id_of(header(scope, b"last-event-id"), scope.get("query_string", b""))


async def respond(  # noqa: PLR0917 - the last three are an ASGI app's own
    options: StreamOptions,
    status: int,
    headers: Callable[[], list[tuple[str, str]]],
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Answer one request with the stream, or with why there is none.

    Args:
        options: Of the response.
        status: The status code.
        headers: Returns the headers of the stream, once its format is known.
        scope: Of the request, with the two callables of an ASGI app.
        receive: See `scope`.
        send: See `scope`.

    Raises:
        RuntimeError: The request is not HTTP, or the server does not run on asyncio.
        Exception: What the source raised.
    """
    if scope["type"] != "http":
        raise RuntimeError(
            f"a stream answers HTTP requests, and this is {scope['type']!r}: over a WebSocket, send the items yourself"
        )
    check_asyncio()
    step_aside(scope)
    method, accept = scope["method"], accepted(scope)
    answer = options.negotiate(accept)
    if answer is None and method == "HEAD":
        answer = Answer(status, headers(), b"")
    if answer is None:
        try:
            options.stream.life.asked_by(method, accept)
            await serve(options.stream, _start(status, headers()), receive, send)
            return
        except TooManyStreamsError as exc:
            answer = refusal(options.stream.format, method, accept, exc.limit, headers())
        except BaseException:
            if options.stream.begun:
                cut_off(scope)
            raise
    options.discard()
    await send(_start(answer.status, answer.headers))
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def _start(status: int, headers: list[tuple[str, str]]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": raw_headers(headers)}


class _Response(StreamOptions):
    """A stream as an ASGI app; the arguments are those of `streamkit.wsgi.EventStreamResponse`."""

    def __init__(
        self,
        content: Content,
        status: int = 200,
        headers: Headers = None,
        *,
        request: Scope | None = None,
        **options: Unpack[Options],
    ) -> None:
        self.prepare(content, status=status, **options)
        self.status = status
        self.headers = headers
        self.stream_headers(headers)  # a bad header fails here, in the view

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await respond(self, self.status, lambda: self.stream_headers(self.headers), scope, receive, send)


class EventStreamResponse(_Response):
    """Server-sent events (WHATWG HTML, 9.2); `streamkit.wsgi.EventStreamResponse` lists the options."""

    format: Format = EventStream()


class NDJSONResponse(_Response):
    """NDJSON: one JSON value a line."""

    format: Format = NDJSON()


class JSONSeqResponse(_Response):
    """A JSON text sequence (RFC 7464)."""

    format: Format = JSONSeq()


class TextStreamResponse(_Response):
    """Plain text as it comes; or, with `format`, a format of your own: `format=CSV()`."""

    format: Format = TextStream()


class NegotiatedResponse(_Response, Negotiated):
    """The format that the Accept header asks for; 406 where it is none of `formats`."""
