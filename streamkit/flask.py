"""Streaming responses for Flask; the arguments are those of `streamkit.wsgi.EventStreamResponse`.

    @app.get("/chat")
    def chat():
        return EventStreamResponse(tokens(), end=Event("", event="done"))

`request`, `session`, `g` and `current_app` work in the source, sync or async, without `stream_with_context`: it runs in
contexts of its own, with a copy of `g`, pushed where it runs and popped when it has been closed. So teardown functions
run twice, when the view has returned and when the stream ends. The source starts between the two, and finds in `g` what
the first has left; a primed one starts within the view. It saves nothing in `session`: the head has left.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Unpack

import flask
from werkzeug.datastructures import Headers

from streamkit import NDJSON, EventStream, Format, JSONSeq, TextStream
from streamkit._engine._flask import FlaskSurroundings
from streamkit._engine.foreign.mark import step_aside
from streamkit._engine.foreign.wsgi import StreamingMiddleware
from streamkit._engine.prime import Content, Primed, prime
from streamkit._engine.response import Negotiated, Options, StreamOptions
from streamkit._engine.twoway import TwoWayBody
from streamkit._engine.wsgi_body import refused
from streamkit._headers import SERVERS_OWN, last_event_id_of

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


def last_event_id(request: flask.Request) -> str | None:
    """Return the id to go on after: Last-Event-ID, else the query parameter `last_event_id`; None for a new client."""
    return last_event_id_of(request.headers.get("Last-Event-ID"), request.query_string)


def primed(source: AsyncIterable[object] | Iterable[object], timeout: float = 5.0) -> Primed:
    """Start `source` now and wait for its first item, as in `streamkit.wsgi`; in an async view, await the result."""
    return prime(source, timeout, None, FlaskSurroundings())  # no loop: that of an async view ends with the view


class _Response(StreamOptions, flask.Response):
    """A stream as Flask's own response: status, headers and cookies may change until the server is answered."""

    def __init__(
        self,
        content: Content,
        status: int | str | None = None,
        headers: Any = None,
        *,
        request: flask.Request | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._prepare(content, status=status, **options)
        self._stream.around = FlaskSurroundings()
        environ = (request or flask.request).environ if request or flask.has_request_context() else None
        if answer := self._negotiate(environ.get("HTTP_ACCEPT") if environ else None):
            status, headers = answer.status, answer.headers
        ours = Headers(self._stream_headers(Headers(headers).to_wsgi_list()))
        # Compressors would hold frames back, but not of what has an encoding; this one never reaches the wire.
        self._shielded = "Content-Encoding" not in ours
        ours.setdefault("Content-Encoding", "identity")
        self._body = TwoWayBody(self._stream, environ)
        flask.Response.__init__(self, self._body, status, ours)
        self.implicit_sequence_conversion = False  # whoever looks at `data` must not read a stream to its end
        self.call_on_close(self._body.close)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; a body that a hook has put in the place of the stream is sent instead."""
        known, self._body.environ = self._stream.format.media_type, environ
        step_aside(environ)
        answer = refused(self, environ)
        if self.headers.get("Content-Type") == known:
            self.headers["Content-Type"] = self._stream.format.media_type
        if answer is not None and not self.is_sequence:
            self.status_code = answer.status
            self.headers.update([(name, value) for name, value in answer.headers if name != "Vary"])
            self.set_data(answer.body)
        if self.is_sequence or environ["REQUEST_METHOD"] == "HEAD":
            self._body.close()
        self.direct_passthrough |= self.response is self._body  # no function of the host's between the items
        sent = super().__call__(environ, start_response)
        return self if sent is self._body else sent  # our `close` does all that is to be done at the end

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """Return the headers for the wire."""
        headers = super().get_wsgi_headers(environ)
        for name in () if self.is_sequence else SERVERS_OWN:
            headers.remove(name)
        if self._shielded and headers.get("Content-Encoding") == "identity":
            headers.remove("Content-Encoding")  # RFC 9110, 8.4.1
        return headers

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def freeze(self) -> None:
        """Refuse: a stream may never end."""
        raise RuntimeError("a stream cannot be frozen: look at response.is_streamed first")

    def add_etag(self, overwrite: bool = False, weak: bool = False) -> None:
        """Leave a stream without one: its bytes are not known yet."""


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
