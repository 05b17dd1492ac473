"""The WSGI middleware that gives an app's own streams the promises of ours (PEP 3333).

The app's head is held back until its body is there, since only both tell whether it streams. An app that is a generator
itself says its head no sooner than its first item. Whatever is no stream passes as it came: the same body, the same
headers, in the same order of calls; and so does what an app sends by `write()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from streamkit._engine.bodies import PumpedBody, discard
from streamkit._engine.clock import SYSTEM, Clock
from streamkit._engine.foreign.kinds import OPAQUE, ForeignBytes, asks_for_stream, kind_of
from streamkit._engine.foreign.mark import KEY, Passage
from streamkit._engine.foreign.options import MiddlewareOptions, check_app
from streamkit._engine.inline import InlineBody
from streamkit._engine.life import OnClose
from streamkit._engine.limit import StreamLimit
from streamkit._engine.policy import StreamPolicy
from streamkit._engine.response import refusal, status_line
from streamkit._engine.source import close_sync
from streamkit._engine.stream import Stream
from streamkit._engine.wsgi_body import wsgi_body
from streamkit._headers import foreign_headers
from streamkit.errors import TooManyStreamsError

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_MISSING = object()


class StreamingMiddleware:
    """Give the streams of any WSGI app what streamkit's responses have, without a change to the app.

        app.wsgi_app = StreamingMiddleware(app.wsgi_app)                    # Flask

    A stream is a response of status 2xx whose Content-Type is that of an event stream, JSON lines or a JSON sequence,
    or that has no Content-Length and is neither a list nor a file. It gets the headers that keep proxies from holding
    it back; a head that leaves before its first item; an entry in `streamkit.stats()`; an end at a shutdown and at
    `max_age`; a `limit`; and HEAD is answered without starting it. A client that asks for a stream gets it
    uncompressed: the app does not see its Accept-Encoding. Responses of streamkit, and all that does not stream, pass
    untouched.

    Args:
        app: The WSGI app.
        policy: How its streams behave. Keepalive is off unless `policy.keepalive` names seconds, and the server serves
            requests in threads: the app's body is then iterated, and closed, in a thread of its own.
        limit: What counts its streams; one too many is refused before its body is iterated.
        on_close: Called once when a stream has ended, with why and its `StreamStats`.

    Raises:
        TypeError: An option is of the wrong kind.
    """

    _clock: Clock = SYSTEM

    def __init__(
        self,
        app: WSGIApplication,
        *,
        policy: StreamPolicy | None = None,
        limit: StreamLimit | None = None,
        on_close: OnClose | None = None,
    ) -> None:
        self._app = check_app(app, "a WSGI")
        self._options = MiddlewareOptions(policy, limit, on_close, self._clock)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if KEY in environ:  # a middleware like this one is around us
            return self._app(environ, start_response)
        head = _Head(environ, start_response)
        if asks_for_stream(environ.get("HTTP_ACCEPT", "")):
            environ.pop("HTTP_ACCEPT_ENCODING", None)  # what would compress holds items back
        body = self._app(environ, head.start_response)
        if head.said is None:
            return _Late(self, environ, head, body)
        return self._answer(environ, head, body)

    def _answer(
        self, environ: WSGIEnvironment, head: _Head, body: Iterable[bytes], begun: Any = None
    ) -> Iterable[bytes]:
        """Send the head and return what the server iterates. `begun` does so for a body that has been started."""
        if head.sent or (format := _format_of(head, body)) is None:
            head.send()
            return body if begun is None else begun
        status, headers, exc_info = head.said
        head.said = status, foreign_headers(headers, format), exc_info
        content = AppBody(body, begun)
        if head.alone:
            head.send()
            content.close()
            return []
        stream = self._options.stream(content, format, fillers=begun is None and self._options.keepalive_asked)
        stream.in_place = True  # Flask's stream_with_context has, before 3.1.2, entered its contexts in the view
        return self._streamed(environ, head, stream)

    def _streamed(self, environ: WSGIEnvironment, head: _Head, stream: Stream) -> Iterable[bytes]:
        try:
            body: InlineBody | PumpedBody = wsgi_body(stream, environ)
        except TooManyStreamsError as exc:
            answer = refusal(stream.life, exc.limit, head.said[1])
            head.said = status_line(answer.status), answer.headers, None
            head.send()
            discard(stream)
            return [answer.body]
        head.send()
        return body


class _Head:
    """Keeps what the app says to `start_response` until it is known whether it streams.

    Attributes:
        alone: Whether the request is for the head alone. An app may change what its environ says.
        file: What the server sends files by, if it has such a thing.
        passage: What a response of streamkit inside the app tells us.
        said: Status, headers and exc_info.
        sent: Whether the server has been told.
    """

    __slots__ = ("_start_response", "_write", "alone", "file", "passage", "said", "sent")

    def __init__(self, environ: WSGIEnvironment, start_response: StartResponse) -> None:
        self.alone: Any = environ.get("REQUEST_METHOD") == "HEAD"
        self.file: Any | None = environ.get("wsgi.file_wrapper")
        environ[KEY] = self.passage = Passage()
        self._start_response = start_response
        self._write: Any = None
        self.said: Any = None
        self.sent: bool = False

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        """Be what the app calls. What is no first call, nor one that takes an error back, is the server's to judge."""
        if self.said is not None and not self.sent and exc_info is None:
            self.send()
        self.said = status, headers, exc_info
        if self.sent:
            self.sent = False
            self.send()
        return self.write

    def send(self) -> None:
        """Tell the server, once."""
        if self.said is None or self.sent:
            return
        self.sent = True
        status, headers, exc_info = self.said
        more = () if exc_info is None else (exc_info,)
        self._write = self._start_response(status, headers, *more)

    def write(self, data: bytes) -> None:
        """Be what `start_response` returns: an app that writes by itself passes untouched."""
        self.send()
        self._write(data)


class AppBody:
    """An app's body as a source: `close()` of the body is called once, where it was iterated, and nothing else is.

    Args:
        body: What the app has returned.
        begun: Its iterator, where it was started.
    """

    def __init__(self, body: Iterable[bytes], begun: Iterator[bytes] | None = None) -> None:
        self._body = body
        self._items = begun

    def __iter__(self) -> Iterator[bytes]:
        if self._items is None:
            self._items = iter(self._body)
        return self

    def __next__(self) -> bytes:
        return next(self._items)  # type: ignore[arg-type]

    def close(self) -> None:
        """End the app's request."""
        close_sync(self._body, self._body)


class _Late:
    """The body of an app that calls `start_response` no sooner than its body is iterated, as a generator does."""

    def __init__(
        self, middleware: StreamingMiddleware, environ: WSGIEnvironment, head: _Head, body: Iterable[bytes]
    ) -> None:
        self._middleware, self._environ, self._head, self._body = middleware, environ, head, body
        self._answer = body
        self._items: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._items is None:
            self._items = self._begin()
        return next(self._items)

    def _begin(self) -> Iterator[bytes]:
        items = iter(self._body)
        first: Any = next(items, _MISSING)
        whole = items if first is _MISSING else chain([first], items)
        if first is _MISSING:
            self._head.send()
            return whole
        answer = self._middleware._answer(self._environ, self._head, self._body, whole)
        if answer is not whole:
            self._answer = answer
        return iter(answer)

    def close(self) -> None:
        """End the app's request; by what was made of its body, where that is not the body itself."""
        close_sync(self._answer, self._answer)


def _format_of(head: _Head, body: Iterable[bytes]) -> ForeignBytes | None:
    """Return what an app streams, or None for a response that is whole, or not the app's own."""
    ours = head.passage.ours or isinstance(getattr(body, "_stream", None), Stream)
    if ours or head.said is None or hasattr(body, "__len__") or not hasattr(body, "__iter__"):
        return None
    status, headers, _ = head.said
    if status[:1] != "2" or status[:3] in ("204", "205"):
        return None
    named = {name.lower(): value for name, value in headers}
    sized = "content-length" in named
    kind = kind_of(named.get("content-type", ""), sized)
    if kind is None:
        return None if sized or _is_file(head, body) else OPAQUE
    return kind.under(named.get("content-encoding", ""))


def _is_file(head: _Head, body: object) -> bool:
    """Tell whether the server is going to send `body` as a file."""
    return isinstance(head.file, type) and isinstance(body, head.file)
