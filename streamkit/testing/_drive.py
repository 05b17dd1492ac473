"""The server between an app and a test: calls the app with one request, and hands on what it answers, bit by bit.

What has arrived waits in `arrivals`, as bytes wait in the buffers of a server and its system; a test that does not
read holds the app back. A client that leaves is told to the app as a server of its interface does.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from streamkit._engine.clock import SYSTEM, TIME, Clock
from streamkit._engine.handoff import Handoff, call_threadsafe, put_from_loop, put_from_thread
from streamkit._engine.register import register
from streamkit._engine.response import StreamOptions
from streamkit._engine.threads import running_loop, start_thread
from streamkit.errors import PipeClosedError, StreamCutError
from streamkit.testing._clock import PATIENCE, ManualClock, StreamClock, rest
from streamkit.testing._request import Arrival, Head, Pairs, Request

if TYPE_CHECKING:
    import asyncio

    from streamkit._engine.life import Life

BUFFER = 65536
"""Bytes that may wait for the test before the app has to."""


def drive(request: Request, clock: Clock | None) -> Drive:
    """Return what is to call the app of `request`; its streams live by `clock`, or by that of this Context."""
    clock = clock or TIME.get(lambda _: SYSTEM)(None)
    return (ASGIDrive if request.scope is not None else WSGIDrive)(request, clock)


class Drive:
    """One request.

    Attributes:
        arrivals: The head, then bytes.
        over: Ends when the app is done with the request.
        error: What the app raised.
        whole: Whether the body came to its end.
    """

    def __init__(self, request: Request, clock: Clock) -> None:
        self.arrivals: Handoff[Arrival] = Handoff(BUFFER, _weigh)
        self.over: Handoff[None] = Handoff(1)
        self.error: BaseException | None = None
        self.whole = False
        self.left: bool = False
        self._is_started = False
        self.request = request
        self.clock: StreamClock = StreamClock(clock)
        self._lives: list[Life] = []
        self.context: Context = copy_context()
        self.context.run(TIME.set, self._time_of)

    def start(self) -> None:
        """Call the app, once."""
        if self._is_started:
            return
        self._is_started = True
        if isinstance(self.request.app, StreamOptions):  # a response that was built before
            stream = self.request.app._stream
            stream.clock = stream.life.clock = self._time_of(stream.life)
        if isinstance(self.clock.base, ManualClock):
            self.clock.base.followed.add(self)
        self._start()

    def leave(self) -> None:
        """Tell the app that its client has left; from now on what it sends goes nowhere."""
        self.left = True
        self.arrivals.close()
        self.clock.leave()

    def abandon(self) -> None:
        """Give up on an app that does not end."""

    def rest(self) -> None:
        """Wait until the app has done all that it can do without time passing."""

    @property
    def reason(self) -> str | None:
        """Why the stream ended; of one that is not streamkit's own, as a server sees it. None while it is open."""
        if not self.over.ended:
            return None
        if self.life is not None and self.life.reason is not None:
            return self.life.reason
        if self.whole:
            return "completed"
        return "disconnected" if self.left else "error"

    def _start(self) -> None:
        raise NotImplementedError

    def _time_of(self, life: Life) -> Clock:
        """Be asked by each stream that the app makes."""
        if life not in self._lives:
            self._lives.append(life)
        return self.clock

    @property
    def life(self) -> Life | None:
        """The stream that was opened; None where the app has opened none of streamkit's."""
        return next((life for life in self._lives if life.reason or life in register().all_open()), None)

    def _end(self, error: BaseException | None) -> None:
        self.error = None if self.left and isinstance(error, OSError) else error
        if isinstance(self.clock.base, ManualClock):
            self.clock.base.followed.discard(self)
        self.over.end()
        self.arrivals.end()


def _weigh(arrival: Arrival) -> int:
    return 0 if isinstance(arrival, Head) else len(arrival)


class ASGIDrive(Drive):
    """Calls an ASGI app: on its own loop, on the one that runs here, or on a new one in a thread that ends with it."""

    _loop: asyncio.AbstractEventLoop
    _task: asyncio.Task[None]

    def _start(self) -> None:
        import asyncio

        self._gone, self._done = asyncio.Event(), asyncio.Event()
        self._begun = self._asked = False
        if loop := self.request.loop or running_loop():
            self._loop = loop
        else:
            self._loop = asyncio.new_event_loop()
            start_thread(self._run_loop, "streamkit-test")
        call_threadsafe(self._loop, self._spawn)

    def _run_loop(self) -> None:
        import asyncio

        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._done.wait())

    def _spawn(self) -> None:
        self._task = self._loop.create_task(self._run(), context=self.context)

    async def _run(self) -> None:
        error: BaseException | None = None
        try:
            await self.request.app(self.request.scope, self._receive, self._send)
        except BaseException as exc:
            error = exc
        self._gone.set()
        self._done.set()
        self._end(error)

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self.request.body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            if self._begun:
                raise RuntimeError("the app sent a second http.response.start")
            self._begun = True
            pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ())]
            await put_from_loop(self.arrivals, Head(message["status"], pairs))
        elif message["type"] == "http.response.body":
            if not self._begun or self.whole:
                raise RuntimeError(f"the app sent a body {'after its end' if self.whole else 'before the head'}")
            if body := message.get("body", b""):
                await put_from_loop(self.arrivals, bytes(body))  # raises OSError when the client has left
            if not message.get("more_body", False):
                self.whole = True
                self._gone.set()

    def leave(self) -> None:
        """See `Drive`."""
        super().leave()
        if not self.over.ended:
            call_threadsafe(self._loop, self._gone.set)

    def abandon(self) -> None:
        """Cancel the app."""
        call_threadsafe(self._loop, self._cancel)

    def _cancel(self) -> None:
        self._task.cancel()

    def rest(self) -> None:
        """See `Drive`."""
        rest(self._loop)


class WSGIDrive(Drive):
    """Calls a WSGI app in a thread, iterates what it returns there, and closes it."""

    def _start(self) -> None:
        self._head: Head | None = None
        self._blocked = False
        start_thread(lambda: self.context.run(self._run), "streamkit-test")

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with self.request.around():
                self._answer()
        except PipeClosedError:
            pass  # the client has left
        except BaseException as exc:
            error = exc
        self._end(error)

    def _answer(self) -> None:
        self.clock.server = threading.get_ident()
        environ = {**(self.request.environ or {}), "wsgi.input": io.BytesIO(self.request.body)}
        body = self.request.app(environ, self._start_response)
        try:
            items = iter(body)
            while (chunk := self._next(items)) is not None:
                self._write(chunk)
            self._write(b"")
            self.whole = True
        finally:
            getattr(body, "close", lambda: None)()

    def _next(self, items: Iterator[bytes]) -> bytes | None:
        self.clock.asking = True
        try:
            return next(items, None)
        finally:
            self.clock.asking = False

    def _start_response(self, status: str, headers: Pairs, exc_info: Any = None) -> Callable[[bytes], None]:
        if self._head is not None and exc_info is None:
            raise RuntimeError("the app called start_response a second time")
        self._head = Head(int(status[:3]), list(headers))
        return self._write

    _is_head_out = False

    def _write(self, chunk: bytes) -> None:
        if self._head is None:
            raise RuntimeError("the app gave a body before it called start_response")
        if not self._is_head_out:
            self._is_head_out = True
            self._put(self._head)
        if chunk or self.left:
            self._put(chunk)

    def _put(self, arrival: Arrival) -> None:
        if not self.arrivals.put(arrival):
            self._blocked = True  # by the test, which does not read
            put_from_thread(self.arrivals, arrival)
            self._blocked = False

    def rest(self) -> None:
        """Wait until the thread sleeps in streamkit, and for the loop that streamkit keeps."""
        from streamkit._engine.background import background_loop

        rest(background_loop())
        until = time.monotonic() + PATIENCE
        while self._works and time.monotonic() < until:
            time.sleep(0.001)

    @property
    def _works(self) -> bool:
        """Whether the thread is about to wait for its stream's pump, where it does that by the clock."""
        life, environ = self.life, self.request.environ or {}
        if life is None or not environ.get("wsgi.multithread") or life.policy._keepalive_interval(life.format) is None:
            return False
        return not (self._blocked or self.clock.server_waits or self.over.ended)


def why(error: BaseException | None) -> str:
    """Say for an error message what an app raised."""
    if error is None:
        return ""
    return f" ({error})" if isinstance(error, StreamCutError) else f" with {error!r:.200}"
