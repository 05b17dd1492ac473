"""What a WSGI server iterates for a stream, and what it is told where there is no thread left for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamkit._engine.bodies import PumpedBody, discard
from streamkit._engine.foreign.mark import step_aside
from streamkit._engine.inline import InlineBody
from streamkit._engine.limit import CAP
from streamkit._engine.register import logger
from streamkit._engine.response import Answer, StreamOptions, refusal
from streamkit._engine.signals import drain_on_signals
from streamkit._engine.stream import Stream
from streamkit._engine.thread_pump import ThreadPump
from streamkit._engine.threads import under_gevent
from streamkit.errors import TooManyStreamsError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from _typeshed.wsgi import WSGIEnvironment

SyncBody = InlineBody | PumpedBody

_warned: set[str] = set()

# A threaded server answers in threads, where no handler can be set; it loads the application in its main thread, after
# it has installed its own handlers.
drain_on_signals()


def wsgi_body(stream: Stream, environ: WSGIEnvironment, loop: AbstractEventLoop | None = None) -> SyncBody:
    """Return what a WSGI server iterates for `stream`.

    Args:
        stream: The stream.
        environ: Of the request; where it does not say `wsgi.multithread`, a sync source runs in the caller's thread.
        loop: Where an async source runs, if not on the one that streamkit keeps for them.

    Raises:
        TooManyStreamsError: There is no thread left for the source, or a `StreamLimit` is reached.
    """
    step_aside(environ)
    _ask(stream, environ)
    with stream.life.opening(loop) as opened:
        body = _body(stream, environ, loop)
    body.meter.opened = opened
    return body


def _body(stream: Stream, environ: WSGIEnvironment, loop: AbstractEventLoop | None) -> SyncBody:
    if stream.producer is not None:
        stream.producer.release()
        return PumpedBody(stream, stream.producer)
    if stream.goes_async(prefer=False):
        from streamkit._engine.background import background_loop
        from streamkit._engine.loop_pump import LoopPump

        return PumpedBody(stream, LoopPump(stream, loop or background_loop()))
    if _takes_thread(stream, environ):
        return PumpedBody(stream, ThreadPump(stream))
    if stream.interval is not None and "wsgi.multithread" in environ and "single" not in _warned:
        _warned.add("single")
        logger.warning(
            "This worker serves one request at a time (wsgi.multithread is false): a sync stream gets no keepalive, and"
            " an idle one holds the worker until its next item. Use threads (gunicorn --threads 100), gevent or ASGI."
        )
    return InlineBody(stream)


def late_body(stream: Stream, environ: WSGIEnvironment, loop: AbstractEventLoop | None = None) -> SyncBody:
    """Do as `wsgi_body` when the head is out already: a browser that is refused now still learns when to come back."""
    try:
        return wsgi_body(stream, environ, loop)
    except TooManyStreamsError:  # another stream has taken the last thread since the head was made
        answer = crowded_out(stream, environ)
        if answer is None or answer.status != 200:
            raise
        discard(stream)
        told = stream.relayed([answer.body])
        told.interval = None
        return InlineBody(told)


def refused(options: StreamOptions, environ: WSGIEnvironment, *, under_asgi: bool = False) -> Answer | None:
    """Return what to answer to this request instead of the stream: 406, or that no thread is left for it.

    Args:
        options: Of the response.
        environ: Of the request.
        under_asgi: Whether the body is going to be read by `async for`.
    """
    return options._negotiate(environ.get("HTTP_ACCEPT")) or crowded_out(options._stream, environ, under_asgi)


def crowded_out(stream: Stream, environ: WSGIEnvironment, under_asgi: bool = False) -> Answer | None:
    """Return what to answer instead where there is no room for one more stream."""
    if environ.get("REQUEST_METHOD") == "HEAD":
        return None
    _ask(stream, environ)
    pumped = stream.producer is None and not stream.goes_async(prefer=under_asgi)
    most = stream.life.limit_reached()
    if pumped and (under_asgi or _takes_thread(stream, environ)) and CAP.reached() is not None:
        most = CAP.total
    return None if most is None else refusal(stream.life, most)


def _ask(stream: Stream, environ: WSGIEnvironment) -> None:
    stream.life.asked_by(environ.get("REQUEST_METHOD", "GET"), environ.get("HTTP_ACCEPT"))


def _takes_thread(stream: Stream, environ: WSGIEnvironment) -> bool:
    """Tell whether a sync source that nothing runs yet gets a thread, so that fillers can be sent beside it."""
    # gevent's own server says false, which is true of its threads; greenlets serve many requests all the same.
    threads = environ.get("wsgi.multithread", False) or ("wsgi.multithread" in environ and under_gevent())
    return stream.interval is not None and bool(threads)
