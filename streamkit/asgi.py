"""Streaming responses for plain ASGI 3: each is an ASGI app.

    async def app(scope, receive, send):
        await EventStreamResponse(tokens())(scope, receive, send)

The runtime is asyncio. Sync sources run in a thread of their own.
"""

from __future__ import annotations

from typing import Unpack

from streamkit import NDJSON, EventStream, Format, JSONSeq, TextStream
from streamkit._engine.asgi_headers import header
from streamkit._engine.foreign.asgi import StreamingMiddleware
from streamkit._engine.message import Receive, Send
from streamkit._engine.prime import Content, primed
from streamkit._engine.respond import Scope, respond
from streamkit._engine.response import Headers, Negotiated, Options, StreamOptions
from streamkit._headers import last_event_id_of

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


def last_event_id(scope: Scope) -> str | None:
    """Return the id after which the client wants to go on, or None for a client that starts anew.

    The header Last-Event-ID (WHATWG HTML, 9.2.4), else the query parameter `last_event_id`.
    """
    return last_event_id_of(header(scope, b"last-event-id"), scope.get("query_string", b""))


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
        self._prepare(content, status=status, **options)
        self.status = status
        self.headers = headers
        self._stream_headers(headers)  # a bad header fails here, in the view

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await respond(self, self.status, lambda: self._stream_headers(self.headers), scope, receive, send)


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
