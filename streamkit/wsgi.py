"""Streaming responses for plain WSGI (PEP 3333): each is a WSGI app.

    def application(environ, start_response):
        return EventStreamResponse(tokens())(environ, start_response)

Async sources run on one event loop of the process, in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Unpack

from streamkit import NDJSON, EventStream, Format, JSONSeq, TextStream
from streamkit._engine.foreign.wsgi import StreamingMiddleware
from streamkit._engine.prime import Content, primed
from streamkit._engine.response import Answer, Headers, Negotiated, Options, StreamOptions, refusal, status_line
from streamkit._engine.wsgi_body import wsgi_body
from streamkit._headers import last_event_id_of
from streamkit.errors import TooManyStreamsError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

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


def last_event_id(environ: WSGIEnvironment) -> str | None:
    """Return the id after which the client wants to go on, or None for a client that starts anew.

    The header Last-Event-ID (WHATWG HTML, 9.2.4), else the query parameter `last_event_id`.
    """
    return last_event_id_of(environ.get("HTTP_LAST_EVENT_ID"), environ.get("QUERY_STRING", ""))


class _Response(StreamOptions):
    """A stream as a WSGI app; its arguments are described at `EventStreamResponse`."""

    def __init__(
        self,
        content: Content,
        status: int = 200,
        headers: Headers = None,
        *,
        request: WSGIEnvironment | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._prepare(content, status=status, **options)
        self.status: HTTPStatus = HTTPStatus(status)
        self.headers = headers
        self._stream_headers(headers)  # a bad header fails here, in the view

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if (answer := self._negotiate(environ.get("HTTP_ACCEPT"))) is not None:
            return self._answer(answer, start_response)
        if environ.get("REQUEST_METHOD") == "HEAD":
            return self._answer(Answer(self.status, self._stream_headers(self.headers), b""), start_response)
        try:
            body = wsgi_body(self._stream, environ)
        except TooManyStreamsError as exc:
            answer = refusal(self._stream.life, exc.limit, self._stream_headers(self.headers))
            return self._answer(answer, start_response)
        start_response(status_line(self.status), self._stream_headers(self.headers))
        return body

    def _answer(self, answer: Answer, start_response: StartResponse) -> Iterable[bytes]:
        self._discard()
        start_response(status_line(answer.status), answer.headers)
        return [answer.body] if answer.body else []


class EventStreamResponse(_Response):
    """Server-sent events (WHATWG HTML, 9.2).

        EventStreamResponse(tokens(), end=Event("", event="done"), policy=StreamPolicy(keepalive=5))

    The arguments are those of every response in every adapter, but for what a host names differently: `status_code` in
    Starlette and FastAPI. Each option from `format` on is a class attribute too, and the keyword wins: a subclass with
    attributes of its own is how an app sets its defaults.

    Args:
        content: Any iterable or async iterable of items, such as a generator, a `Pipe` or a subscription; or the result
            of `primed`.
        status: The status code.
        headers: The user's headers; they win over ours, except those that frame the body, which the server owns.
        request: The request as the host has it, by keyword: here the WSGI environ, where the response is built before
            it is called; not needed.

    Keyword Args:
        format: Turns an item into a frame; `EventStream(json=True)`, say, or a `Format` of your own.
        policy: A `StreamPolicy`: keepalive, `retry`, buffer, time limits, and what a shutdown does.
        end: An item sent after the source has completed, and only then. A browser reconnects when a stream ends, so
            say `end=Event("", event="done")` and let the page close its EventSource on it.
        on_error: Given the exception that ends the source; the item it returns is sent last, and the body ends cleanly.
            Without it the connection is cut, so that no client takes half an answer for a whole one.
        on_close: Called once when the stream has ended, with why ("completed", "disconnected", "slow_client", "error",
            "drained", "max_age" or "closed") and its `StreamStats`. A plain function; what it raises is logged.
        key: Whose stream it is, such as a user's id: what `close_streams` ends and `StreamLimit(per_key=…)` counts.
        limit: A `StreamLimit` shared by the responses that count together.
        formats: What a `NegotiatedResponse` offers, in order of preference; `format` is then not asked.

    Raises:
        TypeError: The content cannot be streamed, or an option or a header is of the wrong kind.
        ValueError: A header holds a line break, or the policy asks for something that the format cannot do.
        EncodeError: `end` cannot be written in this format.
    """

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
