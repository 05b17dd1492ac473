"""The ASGI middleware: one `Guard` per request, which is out of the way unless the response is a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from streamkit._engine.clock import SYSTEM, Clock
from streamkit._engine.foreign.ending import Ending
from streamkit._engine.foreign.flow import BODY, body_of
from streamkit._engine.foreign.inbox import Inbox
from streamkit._engine.foreign.kinds import OPAQUE, asks_for_stream, compressed_type, judge, stream_headers
from streamkit._engine.foreign.mark import KEY
from streamkit._engine.foreign.stream import ForeignStream, new_life
from streamkit._engine.foreign.tasks import Families, Task
from streamkit._engine.life import Life, OnClose
from streamkit._engine.limit import StreamLimit
from streamkit._engine.policy import StreamPolicy, check_policy
from streamkit._engine.register import logger
from streamkit._engine.response import refusal
from streamkit._engine.serve import Message, Receive, Send
from streamkit._engine.signals import drain_on_signals
from streamkit._format import Format
from streamkit.errors import StreamCutError, TooManyStreamsError

App = Callable[[Any, Any, Any], Awaitable[None]]

# Of Starlette, and of anyio's streams, where one task of the app has left another to write to nobody.
DEPARTURES = frozenset({"ClientDisconnect", "BrokenResourceError", "ClosedResourceError"})

START = "http.response.start"


class StreamingMiddleware:
    """Give streams that an app makes without streamkit what streamkit's own streams have; touch nothing else.

        app = StreamingMiddleware(app)                    # any ASGI app
        app.add_middleware(StreamingMiddleware)           # Starlette, FastAPI

    A stream is a response of type `text/event-stream`, `application/x-ndjson`, `application/jsonl` or
    `application/json-seq`, or any without Content-Length whose body comes in pieces. It gets

    - the headers `Cache-Control: no-cache, no-transform` and `X-Accel-Buffering: no`, where the app has not set them,
      and none that belong to the server;
    - a keepalive when it was silent for long, between two events only;
    - an end when its client has left, also where the app does not ask: the app sees `http.disconnect`, and what it
      sends raises OSError a second later; when its client takes nothing for `send_timeout`; at its `max_age`; and when
      the server is told to stop. What a generator awaits in its `finally` is done in the last three;
    - a place in `streamkit.stats()`, and in `limit`.

    An error in mid-stream is never sent as a clean end. HEAD is answered by the head alone. The app compresses no
    response to a request that accepts one of the types above. A streamkit response is passed through, with what it was
    given itself; so is every response without a stream.

    Args:
        app: The ASGI app.
        policy: How the streams behave; `retry` and `buffer_size` have no meaning here.
        limit: A `StreamLimit` on the streams.
        on_close: Called once when a stream has ended, with why and its `StreamStats`. A plain function.

    Raises:
        TypeError: An argument is of the wrong kind.
    """

    _clock: Clock = SYSTEM

    def __init__(
        self,
        app: App,
        *,
        policy: StreamPolicy | None = None,
        limit: StreamLimit | None = None,
        on_close: OnClose | None = None,
    ) -> None:
        if not callable(app):
            raise TypeError(f"StreamingMiddleware goes around an ASGI app, not {app!r}")
        self._app = app
        self.policy = check_policy(StreamPolicy() if policy is None else policy)
        self._limit, self._on_close = limit, on_close
        self._families = Families()
        self._warned = False
        self.new_life(OPAQUE)  # a wrong option fails here
        drain_on_signals()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        try:
            own = asyncio.current_task() if scope["type"] == "http" and KEY not in scope else None
        except RuntimeError:
            own = None  # trio, of which we know no tasks
        if own is None:
            await self._app(scope, receive, send)
            return
        guard = Guard(self, own, scope, receive, send)
        scope[KEY] = guard
        if hides := asks_for_stream(headers := scope.get("headers", ())):
            scope["headers"] = [pair for pair in headers if pair[0] != b"accept-encoding"]
        try:
            await self._app(scope, guard.receive, guard.send)
        except BaseException as exc:
            if not await guard.app_returned(exc):
                raise
        else:
            if guard.attentive:
                await guard.app_returned(None)
        finally:
            if hides:
                scope["headers"] = headers
            del scope[KEY]

    def new_life(self, format: Format) -> Life:
        """Return the life of a stream that starts now."""
        life = new_life()
        life.bind(self.policy, format, on_close=self._on_close, limit=self._limit, clock=self._clock)
        return life

    def new_ending(self, own: Task, inbox: Inbox) -> Ending:
        """Return what ends the app of one request."""
        return Ending(own, inbox, self._families, self.policy, self._clock)

    def look_at_encoding(self, headers: Any) -> None:
        """Warn once of an app that compresses its streams."""
        if not self._warned and (found := compressed_type(headers)) is not None:
            self._warned = True
            logger.warning(
                "The app compresses a stream of type %s by %s: its events may be held back, and no keepalive can be put"
                " between them. Exclude the type from what compresses, or put that outside of StreamingMiddleware",
                *found,
            )


class Guard:
    """Stands between an app and its server for one request."""

    # Few requests are streams, and each has a guard: what most never set is no part of it.
    _plain = _aside = False
    _held: Message | None = None  # a head whose response may be a stream
    _stream: ForeignStream | None = None
    _ending: Ending | None = None

    def __init__(self, owner: StreamingMiddleware, own: Task, scope: Any, receive: Receive, send: Send) -> None:
        self._owner = owner
        self._own = own
        self._scope = scope
        self._send = send
        self._inbox = inbox = Inbox(receive)
        self.receive = inbox.receive

    @property
    def attentive(self) -> bool:
        """Whether there is something to be done when the app has returned."""
        return self._ending is not None or self._held is not None

    def step_aside(self) -> None:
        """Leave the response to streamkit, which makes it; unless it has begun."""
        if self._stream is None and self._ending is None:
            self._plain = self._aside = True

    def send(self, message: Message) -> Awaitable[None]:
        """Take a message of the app."""
        if self._plain:
            return self._send(message)
        if self._stream is not None:
            return self._stream.send(message)
        if self._ending is not None:
            return self._ending.refuse()
        if (held := self._held) is not None:
            self._held = None
            return self._open(held, message)
        return self._judge(message)

    def _judge(self, message: Message) -> Awaitable[None]:
        if message["type"] != START:
            return self._send(message)  # what may come before a head; if not, the server complains
        headers = message.get("headers", ())
        if iter(headers) is headers:  # to be read once only
            headers = list(headers)
            message = {**message, "headers": headers}
        format, possible = judge(message["status"], headers)
        if format is not None:
            self._owner.look_at_encoding(headers)
            return self._begin(message, format, empty=True)
        if not possible:
            self._plain = True
            return self._send(message)
        self._held = message
        return self._send(message) if self._scope["method"] == "HEAD" else _nothing()

    async def _open(self, head: Message, message: Message) -> None:
        """Decide by the first message after the head."""
        is_head = self._scope["method"] == "HEAD"
        if message["type"] != BODY or not message.get("more_body", False):
            self._plain = True
            if not is_head:
                await self._send(head)
            await self._send(message)
        elif is_head:
            await self._answer([body_of(b"", more=False)])
        else:
            await self._begin(head, OPAQUE, empty=False)
            await self.send(message)

    async def _begin(self, head: Message, format: Format, *, empty: bool) -> None:
        headers = head.get("headers", ())
        head = {**head, "headers": stream_headers(headers, framed_by_server=empty)}
        if self._scope["method"] == "HEAD":
            await self._answer([head, body_of(b"", more=False)])
        accept = b", ".join(value for name, value in self._scope.get("headers", ()) if name == b"accept").decode(
            "latin-1"
        )
        life = self._owner.new_life(format)
        life.asked_by(self._scope["method"], accept)
        try:
            life.open(asyncio.get_running_loop())
        except TooManyStreamsError as exc:
            answer = refusal(format, self._scope["method"], accept, exc.limit)
            pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers]
            await self._answer(
                [{"type": START, "status": answer.status, "headers": pairs}, body_of(answer.body, more=False)]
            )
        self._ending = self._owner.new_ending(self._own, self._inbox)
        self._ending.note_sender()
        self._stream = ForeignStream(life, self._inbox, self._send, self._ending)
        await self._stream.start(head, empty=empty)

    async def _answer(self, messages: list[Message]) -> None:
        """Answer in place of the app's stream, which never starts; this is where its sender is cancelled."""
        self._inbox.hide()
        ending = self._ending = self._owner.new_ending(self._own, self._inbox)
        ending.note_sender()
        for message in messages:
            await self._send(message)
        ending.begin()
        await ending.refuse()

    async def app_returned(self, error: BaseException | None) -> bool:
        """Do what is left to do when the app is over; tell whether `error` is to be kept from the server."""
        if self._held is not None and self._scope["method"] != "HEAD":
            with suppress(OSError):  # it would have been the app's to know
                await self._send(self._held)
        if self._ending is None:
            return self._aside and error is not None and _only(error, StreamCutError)
        if self._stream is not None:
            await self._stream.app_returned(error)
            expected = self._stream.gone or self._ending.begun
        else:
            await self._ending.finished()
            expected = True
        ours = self._ending.was_ours(error)
        if error is not None and (ours or (expected and _only(error, OSError, asyncio.CancelledError))):
            logger.debug("The app of a stream that is over raised %r", error)
            return ours or not isinstance(error, asyncio.CancelledError)
        return False


async def _nothing() -> None:
    """Be awaited in place of a send."""


def _only(error: BaseException, *kinds: type[BaseException]) -> bool:
    """Tell whether an error is of these kinds, or says in a framework's own words that the other end has gone."""
    if isinstance(error, BaseExceptionGroup):
        return all(_only(one, *kinds) for one in error.exceptions)
    if isinstance(error, kinds) or (error.__cause__ is not None and _only(error.__cause__, *kinds)):
        return True
    return type(error).__name__ in DEPARTURES and OSError in kinds
