"""Streaming responses for Django: each is a `StreamingHttpResponse`, in sync and async views, under WSGI and ASGI.

    def chat(request):
        return EventStreamResponse(tokens(), request=request, end=Event("", event="done"))

Django's handler reads a response, so nothing runs before it asks for the first bytes. The source runs with the view's
language, time zone and URL configuration. Database connections that the view opened are given back when the body starts
(as at the end of a request: CONN_MAX_AGE holds); those of streamkit's own threads are closed with the source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from streamkit import NDJSON, EventStream, Format, JSONSeq, TextStream
from streamkit._engine._django.around import DjangoSurroundings, handler_is_async, on_lasting_loop
from streamkit._engine._django.middleware import StreamingMiddleware
from streamkit._engine._django.response import QuietHeaders, TwoWayResponse
from streamkit._engine.foreign.mark import step_aside
from streamkit._engine.prime import Content, Primed, prime
from streamkit._engine.response import Answer, HeaderList, Headers, Negotiated, Options, StreamOptions
from streamkit._engine.source import Source
from streamkit._engine.threads import running_loop
from streamkit._engine.twoway import TwoWayBody
from streamkit._engine.wsgi_body import refused
from streamkit._headers import last_event_id_of

if TYPE_CHECKING:
    from django.http import HttpRequest

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


def last_event_id(request: HttpRequest) -> str | None:
    """Return the id to go on after: Last-Event-ID, else the query parameter `last_event_id`; None for a new client."""
    return last_event_id_of(request.META.get("HTTP_LAST_EVENT_ID"), request.META.get("QUERY_STRING", ""))


def primed(source: Source, timeout: float = 5.0) -> Primed:
    """Start `source` now and wait for its first item, as in `streamkit.wsgi`; in an async view, await the result.

    Under ASGI Django sends the head before it asks for the first item, so only this makes an early error a response.
    """
    return prime(source, timeout, running_loop() if on_lasting_loop() else None, DjangoSurroundings())


class _Response(StreamOptions, TwoWayResponse):
    """A stream as Django's own response; the arguments are those of `streamkit.wsgi.EventStreamResponse`.

    Give it `request`. Without, a sync source has no keepalive under WSGI, HEAD starts the source (its bytes go nowhere)
    and what cannot be streamed now is refused by 503; a negotiated response cannot do without.
    """

    def __init__(
        self,
        content: Content,
        status: int | None = None,
        headers: Headers = None,
        *,
        request: HttpRequest | None = None,
        reason: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._prepare(content, status=status, **options)
        if self.formats and request is None:
            raise TypeError(f"{type(self).__name__} chooses its format by the request: give it request=request")
        environ = getattr(request, "META", {})
        self._stream.around = DjangoSurroundings()
        # Django REST framework's request is no HttpRequest, but has the attributes of the one inside.
        step_aside(getattr(request, "scope", None))
        self.is_async: bool = handler_is_async(self._stream.source) if request is None else hasattr(request, "scope")
        self._body = TwoWayBody(self._stream, environ)
        instead = refused(self, environ, under_asgi=self.is_async)
        answer = instead or Answer(status or 200, self._stream_headers(headers), b"")
        super().__init__(self._body, status=answer.status, reason=reason, headers=_once(answer.headers))
        self.headers: QuietHeaders = QuietHeaders(self.headers)
        if instead is not None or environ.get("REQUEST_METHOD") == "HEAD":
            self._replace_content([answer.body])


def _once(headers: HeaderList) -> dict[str, str]:
    """Return headers as Django takes them."""
    names = [name.lower() for name, _ in headers]
    if twice := [name for name, _ in headers if names.count(name.lower()) > 1]:
        raise ValueError(f"Django keeps one header of a name, not {twice}: join the values, and use set_cookie()")
    return dict(headers)


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
