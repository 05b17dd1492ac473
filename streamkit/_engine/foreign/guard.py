"""What stands between an app and its server for one request: it finds out whether the response is a stream.

The head of a response that may be one waits for the body that comes with it, or for a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from streamkit._engine.asgi_headers import accepted, raw_foreign_headers, text_headers
from streamkit._engine.clock import Clock
from streamkit._engine.foreign.ending import Ending
from streamkit._engine.foreign.inbox import Inbox
from streamkit._engine.foreign.kinds import OPAQUE, ForeignBytes, kind_of
from streamkit._engine.foreign.options import MiddlewareOptions
from streamkit._engine.foreign.stream import LEFT_GRACE, ForeignStream
from streamkit._engine.foreign.tasks import Families, Task
from streamkit._engine.message import BODY, START, Message, Receive, Send, body_of, start_of
from streamkit._engine.register import logger
from streamkit._engine.response import refusal
from streamkit.errors import StreamCutError, TooManyStreamsError

# Of Starlette, and of anyio's streams, where one task of the app has left another to write to nobody.
DEPARTURES = frozenset({"ClientDisconnect", "BrokenResourceError", "ClosedResourceError"})

HEAD_GRACE = 0.05
"""Seconds that the head of what may be a stream waits for the body to tell, at least; twice that at most."""


class HeldHeads:
    """Guards that hold a head, to be asked again in a moment. Nearly all have their body then: one timer for many."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._guards: list[Guard] = []

    def add(self, guard: Guard) -> None:
        """Ask `guard` again in a moment, and once more before its head is let go."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._guards = loop, []
            self._clock.call_later(loop, HEAD_GRACE, partial(self._look, loop, self._guards))
        self._guards.append(guard)

    def _look(self, loop: asyncio.AbstractEventLoop, guards: list[Guard]) -> None:
        if guards is self._guards:
            self._loop, self._guards = None, []
        for guard in guards:
            if guard.waits_for_body:  # since when, nobody knows; from now on it is for as long
                self._clock.call_later(loop, HEAD_GRACE, guard.wait_no_longer)


class Shared:
    """What all guards of one middleware have: its options, the heads that wait, and which task has made which."""

    def __init__(self, options: MiddlewareOptions) -> None:
        self.options = options
        self.held_heads = HeldHeads(options.clock)
        self.families = Families()


class Guard:
    """Stands between an app and its server for one request."""

    # Few requests are streams, and each has a guard: what most never set is no part of it.
    _plain = _aside = _cut = False
    _held: Message | None = None  # a head whose response may be a stream
    _stream: ForeignStream | None = None
    _ending: Ending | None = None
    _late: Task | None = None  # opens a stream whose body has not come with its head

    def __init__(self, shared: Shared, own: Task, scope: Any, receive: Receive, send: Send) -> None:
        self._shared = shared
        self._own = own
        self._scope = scope
        self._send = send
        self._inbox = inbox = Inbox(receive)
        self.receive: Receive = inbox.receive

    @property
    def attentive(self) -> bool:
        """Whether there is something to be done when the app has returned."""
        return self._ending is not None or self._held is not None

    def step_aside(self) -> None:
        """Leave the response to streamkit, which makes it; unless it has begun."""
        if self._stream is None and self._ending is None:
            self._plain = self._aside = True

    def cut_off(self) -> None:
        """Send nothing more of a streamkit response that has failed: what stands between may end the body as whole."""
        self._plain, self._cut = False, True

    def send(self, message: Message) -> Awaitable[None]:
        """Take a message of the app."""
        if self._plain:
            return self._send(message)
        if self._stream is not None:
            return self._stream.send(message)
        if self._ending is not None:
            return self._ending.drop()
        if (held := self._held) is not None:
            self._held = None
            return self._open(held, message)
        return self._judge(message)

    def _judge(self, message: Message) -> Awaitable[None]:
        if self._cut:
            return _nothing()
        if message["type"] != START:
            return self._send(message)  # what may come before a head; if not, the server complains
        headers = message.get("headers", ())
        if iter(headers) is headers:  # to be read once only
            headers = list(headers)
            message = {**message, "headers": headers}
        format, possible = _judge(message["status"], headers)
        if format is not None:
            return self._begin(message, format, empty=True)
        if not possible:
            self._plain = True
            return self._send(message)
        self._held = message
        if self._scope.get("method") == "HEAD":
            return self._send(message)
        self._shared.held_heads.add(self)
        return _nothing()

    @property
    def waits_for_body(self) -> bool:
        """Whether a head is held."""
        return self._held is not None

    def wait_no_longer(self) -> None:
        """Open a stream: an app that has not sent the body with its head makes it as it goes."""
        if self._held is not None:
            self._late = asyncio.get_running_loop().create_task(self._open_late())

    async def _open_late(self) -> None:
        head, self._held = self._held, None
        if head is not None:
            with suppress(OSError):  # the app will hear of it
                # Until it sends, the app's own task stands for the one that does.
                await self._begin(head, OPAQUE, empty=True, sender=self._own)

    async def _open(self, head: Message, message: Message) -> None:
        """Decide by the first message after the head."""
        is_head = self._scope.get("method") == "HEAD"
        if message["type"] != BODY or not message.get("more_body", False):
            self._plain = True
            if not is_head:
                await self._send(head)
            await self._send(message)
        elif is_head:
            self._end_body_of_head()
            await self._send(body_of(b"", more=False))
        else:
            await self._begin(head, OPAQUE, empty=False)
            await self.send(message)

    def _end_body_of_head(self) -> None:
        """Drop what else the app sends; end it when it does not end by itself soon, as an endless stream would not."""
        self._inbox.hide()
        ending = self._new_ending()
        ending.begin(partial(ending.wait, LEFT_GRACE))

    async def _begin(self, head: Message, format: ForeignBytes, *, empty: bool, sender: Task | None = None) -> None:
        head = {**head, "headers": raw_foreign_headers(head.get("headers", ()), format)}
        if self._scope.get("method") == "HEAD":
            await self._answer(sender, [head, body_of(b"", more=False)])
        life = self._shared.options.life(format)
        life.asked_by(self._scope.get("method", "GET"), accepted(self._scope))
        try:
            life.open(asyncio.get_running_loop())
        except TooManyStreamsError as exc:
            answer = refusal(life, exc.limit, text_headers(head["headers"]))
            await self._answer(sender, [start_of(answer.status, answer.headers), body_of(answer.body, more=False)])
        ending = self._new_ending(sender)
        self._stream = ForeignStream(life, format.boundary(), self._inbox, self._send, ending)
        await self._stream.start(head, empty=empty)

    async def _answer(self, sender: Task | None, messages: list[Message]) -> NoReturn:
        """Answer in place of the app's stream, which never starts; this is where its sender is cancelled."""
        self._inbox.hide()
        ending = self._new_ending(sender)
        for message in messages:
            await self._send(message)
        ending.begin()
        await ending.refuse()

    def _new_ending(self, sender: Task | None = None) -> Ending:
        options = self._shared.options
        ending = self._ending = Ending(self._own, self._inbox, self._shared.families, options.policy, options.clock)
        ending.note_sender(sender)
        return ending

    async def app_returned(self, error: BaseException | None) -> bool:
        """Do what is left to do when the app is over; tell whether `error` is to be kept from the server."""
        held, self._held = self._held, None
        if held is not None and self._scope.get("method") != "HEAD":
            with suppress(OSError):  # it would have been the app's to know
                await self._send(held)
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


def _judge(status: int, headers: Iterable[tuple[bytes, bytes]]) -> tuple[ForeignBytes | None, bool]:
    """Tell by its head whether a response is a stream.

    Returns:
        What it is if it is one for sure, and whether it may be one: its first piece of body tells.
    """
    content_type = encoding = b""
    sized = False
    for raw, value in headers:
        name = raw.lower()
        if name == b"content-length":
            sized = True
        elif name == b"content-type":
            content_type = value
        elif name == b"content-encoding":
            encoding = value
    if status < 200 or status in {204, 304}:
        return None, False
    kind = kind_of(content_type.decode("latin-1"), sized)
    if kind is None:
        return None, not sized
    return kind.under(encoding.decode("latin-1")), True


async def _nothing() -> None:
    """Be awaited in place of a send."""


def _only(error: BaseException, *kinds: type[BaseException]) -> bool:
    """Tell whether an error is of these kinds, or says in a framework's own words that the other end has gone."""
    if isinstance(error, BaseExceptionGroup):
        return all(_only(one, *kinds) for one in error.exceptions)
    if isinstance(error, kinds) or (error.__cause__ is not None and _only(error.__cause__, *kinds)):
        return True
    return type(error).__name__ in DEPARTURES and OSError in kinds
