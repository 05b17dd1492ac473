"""The middleware that gives a Django project's own `StreamingHttpResponse`s the promises of ours.

A response stays the object that the view has made, with its headers, cookies and closers; only its content is read by
the engine, and by either handler. It may stand anywhere in MIDDLEWARE.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from functools import cache
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, cast

from django.http import FileResponse, StreamingHttpResponse
from django.utils.deprecation import iscoroutinefunction, markcoroutinefunction  # type: ignore[attr-defined]

from streamkit._engine._django.around import DjangoSurroundings
from streamkit._engine._django.response import QuietHeaders, TwoWayResponse
from streamkit._engine.clock import SYSTEM, Clock
from streamkit._engine.foreign.kinds import OPAQUE, asks_for_stream, kind_of
from streamkit._engine.foreign.mark import step_aside
from streamkit._engine.foreign.options import MiddlewareOptions
from streamkit._engine.life import OnClose
from streamkit._engine.limit import StreamLimit
from streamkit._engine.policy import StreamPolicy
from streamkit._engine.response import Answer, class_option
from streamkit._engine.source import close_async, close_sync
from streamkit._engine.twoway import TwoWayBody
from streamkit._engine.wsgi_body import crowded_out
from streamkit._headers import foreign_headers

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

Handler = Callable[[Any], Any]


class StreamingMiddleware:
    """Give the streams of a Django project what streamkit's responses have, without a change to its views.

        MIDDLEWARE = ["streamkit.django.StreamingMiddleware", …]

    A stream is a `StreamingHttpResponse` without Content-Length that is no `FileResponse`. Sync and async iterators
    leave item by item under either handler. An async one has a keepalive, and a sync one under ASGI, where frames can
    be told: in event streams, and JSON sequences. A sync one under WSGI has it only where `policy.keepalive` names
    seconds, since it is then iterated in a thread of its own. The rest is as in `streamkit.wsgi.StreamingMiddleware`.

    Options are the attributes of a subclass that a module of the project has and MIDDLEWARE names:

        class Streams(StreamingMiddleware):
            policy = StreamPolicy(max_age=600)

    Attributes:
        policy: How the project's streams behave.
        limit: What counts them; one too many is refused before its content is iterated.
        on_close: Called once when a stream has ended, with why and its `StreamStats`.

    Raises:
        TypeError: An option is of the wrong kind.
    """

    sync_capable = True
    async_capable = True
    policy: StreamPolicy = StreamPolicy()
    limit: StreamLimit | None = None
    on_close: OnClose | None = None
    _clock: Clock = SYSTEM

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response
        self._options = MiddlewareOptions(self.policy, self.limit, class_option(self, "on_close"), self._clock)
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer one request."""
        if asks_for_stream(request.META.get("HTTP_ACCEPT", "")):
            request.META.pop("HTTP_ACCEPT_ENCODING", None)  # what would compress holds items back
        if self._is_async:
            return self._answered(request)
        return self._treated(request, self._get_response(request))

    async def _answered(self, request: HttpRequest) -> HttpResponseBase:
        return self._treated(request, await self._get_response(request))

    def _treated(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if isinstance(response, TwoWayResponse):  # of streamkit, or of a middleware like this one
            step_aside(getattr(request, "scope", None))  # a response that was not given its request could not
            if request.method == "HEAD":
                response._replace_content([])
        elif isinstance(response, StreamingHttpResponse) and not _is_file(response):
            step_aside(getattr(request, "scope", None))
            self._serve(request, self._taken_over(request, response))
        return response

    def _serve(self, request: HttpRequest, response: TwoWayResponse) -> None:
        if request.method == "HEAD":
            response._replace_content([])
        elif (answer := crowded_out(response._stream, request.META, response.is_async)) is not None:
            _refuse(response, answer)

    def _taken_over(self, request: HttpRequest, response: Any) -> TwoWayResponse:
        kind: Any = type(response)
        under_asgi = hasattr(request, "scope")
        known = kind_of(response.get("Content-Type", ""))
        format = OPAQUE if known is None else known.under(response.get("Content-Encoding", ""))
        content: _Content = (_AsyncContent if response.is_async else _SyncContent)(response)
        fillers = under_asgi or response.is_async or self._options.keepalive_asked
        stream = self._options.stream(content, format, fillers=fillers)  # type: ignore[arg-type]
        stream.around = DjangoSurroundings()
        response.headers = QuietHeaders(dict(foreign_headers(response.headers.items(), format)))
        response.__class__ = _served(kind)
        response.is_async = under_asgi
        response._stream, response._body = stream, TwoWayBody(stream, request.META)
        return cast(TwoWayResponse, response)


def _is_file(response: StreamingHttpResponse) -> bool:
    return isinstance(response, FileResponse) or response.has_header("Content-Length")


def _refuse(response: Any, answer: Answer) -> None:
    response.status_code, response.reason_phrase = answer.status, None
    response.headers.pop("Content-Encoding", None)
    for name, value in answer.headers:
        response.headers[name] = value
    response._replace_content([answer.body])


@cache
def _served(kind: Any) -> Any:
    """Return the class of a response that is taken over: still of its own kind, read as one of ours.

    Django gives back the connections of the view when the response is closed, as ever: content that was begun in the
    view may hold a cursor.
    """
    return type(f"Served{kind.__name__}", (TwoWayResponse, kind), {"_gives_connections_back": False})


class _Content:
    """The content of a response as a source; where it ends, so does all that it was made of.

    The closers that the response has until now are those of its content. They run where that was iterated, and so must
    no longer be among those that Django runs.
    """

    def __init__(self, response: Any) -> None:
        self._chunks = response.streaming_content
        self._inner = response._iterator
        self._closers = list(response._resource_closers)
        response._resource_closers.clear()
        if any(getattr(closer, "__self__", None) is self._inner for closer in self._closers):
            self._inner = None


class _SyncContent(_Content):
    def __iter__(self) -> Iterator[object]:
        return iter(self._chunks)

    def close(self) -> None:
        with ExitStack() as stack:  # one that fails keeps no other from its turn
            stack.callback(close_sync, self._inner, self._inner)
            for closer in reversed(self._closers):
                stack.callback(closer)


class _AsyncContent(_Content):
    def __aiter__(self) -> AsyncIterator[object]:
        return aiter(self._chunks)

    async def aclose(self) -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(close_async, self._inner, self._inner)
            for closer in reversed(self._closers):
                stack.push_async_callback(_called, closer)


async def _called(closer: Callable[[], object]) -> None:
    if isawaitable(result := closer()):
        await result
