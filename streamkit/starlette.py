"""Streaming responses for Starlette: each is a `StreamingResponse`, so middleware takes it for one.

    async def chat(request):
        return EventStreamResponse(tokens(), end=Event("", event="done"))

Starlette's own sending is not used: the stream is served as in `streamkit.asgi`. What the source raises before its
first item reaches Starlette's exception handlers. Background tasks run after the stream, also when the client left.
"""

from __future__ import annotations

import re
from typing import Any, Unpack

from starlette import __version__ as _version
from starlette.background import BackgroundTask
from starlette.requests import HTTPConnection
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from streamkit import NDJSON, EventStream, Format, JSONSeq, TextStream, asgi
from streamkit._engine.asgi_headers import accepted, header, raw_headers, text_headers
from streamkit._engine.bodies import AsyncBody, Chunks, as_bytes
from streamkit._engine.prime import Content, primed
from streamkit._engine.respond import respond
from streamkit._engine.response import Headers, Negotiated, Options, StreamOptions
from streamkit._engine.stream import Stream
from streamkit.asgi import StreamingMiddleware

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


# Starlette's GZipMiddleware leaves event streams alone; any other stream it kept to its end before 1.5.
_GZIP_HOLDS = tuple(map(int, re.findall(r"\d+", _version)[:2])) < (1, 5)


def last_event_id(request: HTTPConnection) -> str | None:
    """Return the id after which the client wants to go on, or None for a client that starts anew.

    The header Last-Event-ID (WHATWG HTML, 9.2.4), else the query parameter `last_event_id`.
    """
    return asgi.last_event_id(request.scope)


class _Response(StreamOptions, StreamingResponse):
    """A stream as a Starlette response; the arguments are those of `streamkit.wsgi.EventStreamResponse`.

    Args of Starlette's own: `status_code`; `media_type`, a Content-Type instead of the format's; `background`, run
    after the stream. `request` lets a negotiated response know its format, and so its headers, before it is called.
    `headers` and `set_cookie` work until the response is returned; a header of ours can be replaced, not removed.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "format" in vars(cls) and "media_type" not in vars(cls):
            cls.media_type = cls.format.media_type.partition(";")[0]  # what FastAPI writes into its OpenAPI

    def __init__(
        self,
        content: Content,
        status_code: int = 200,
        headers: Headers = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
        *,
        request: HTTPConnection | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._prepare(content, status=status_code, **options)
        if request is not None:
            self._negotiate(accepted(request.scope))
        self.status_code = status_code
        self.background = background
        self.media_type: str = media_type or self._stream.format.media_type
        self.raw_headers: list[tuple[bytes, bytes]] = raw_headers(self._stream_headers(headers))
        self._defaults = raw_headers(self._stream_headers())
        if media_type is not None:
            self.headers["content-type"] = media_type
        self._chunks: Chunks | None = None

    @property
    def body_iterator(self) -> Chunks:
        """The bytes of the body, for code that reads or wraps them; what is set here is sent instead."""
        if (chunks := self._chunks) is None:
            chunks = self.body_iterator = AsyncBody(self._stream)
        return chunks

    @body_iterator.setter
    def body_iterator(self, chunks: Chunks) -> None:
        self._chunks, self._defaults = chunks, []  # the bytes have their format and headers
        self.formats: tuple[Format, ...] = ()
        self._stream: Stream = self._stream.wrapped(as_bytes(chunks, self.charset))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await respond(self, self.status_code, lambda: self._final_headers(scope), scope, receive, send)
        if self.background is not None:
            await self.background()

    def _final_headers(self, scope: Scope) -> list[tuple[str, str]]:
        """Return the headers to send: those that were set since the response was built win over our defaults."""
        user = text_headers(pair for pair in self.raw_headers if pair not in self._defaults)
        headers = self._stream_headers(user)
        sent = {name.lower(): value for name, value in headers}
        gzip = _GZIP_HOLDS and b"gzip" in (header(scope, b"accept-encoding") or b"")
        if gzip and "content-encoding" not in sent and not sent["content-type"].startswith("text/event-stream"):
            headers.append(("content-encoding", "identity"))
        return headers


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
