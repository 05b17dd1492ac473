"""One stream of an app, from its head to its end: what the app sends, and what becomes of it when the stream is over.

The app's last message waits until the app has returned, or for a moment: an app may raise after it (a task group
raises when all its tasks have ended), and then the stream must not have ended as if it were whole.

When the client has left, the app's sends are held for a second, in which it can cancel itself, and raise OSError then.
When the stream ends before its time, what the app sends is dropped.
"""

from __future__ import annotations

import asyncio
import errno

from streamkit._engine.boundary import Boundary
from streamkit._engine.clock import Timer
from streamkit._engine.foreign.ending import Ending
from streamkit._engine.foreign.flow import Flow
from streamkit._engine.foreign.inbox import Inbox
from streamkit._engine.foreign.tasks import Task
from streamkit._engine.handoff import call_threadsafe
from streamkit._engine.life import Life
from streamkit._engine.message import BODY, Message, Send, body_of
from streamkit._engine.register import logger

LEFT_GRACE = 1.0
"""Seconds in which an app whose client has left may end itself."""

LAST_GRACE = 0.05
"""Seconds that the end of a body waits for the app to return: one that runs background tasks returns much later."""

DROPS = 8
"""Messages of an ended stream that are dropped before the next one waits: what feeds a generator may hold some."""


class ForeignStream:
    """A stream that an app makes without streamkit.

    Attributes:
        life: Of the stream; opened.
        ending: Ends the app where the stream ends before its time.
        gone: The client has left.
        completed: The server has the end of the body.
        dropping: Nothing that the app sends goes to the server any more.
    """

    def __init__(self, life: Life, boundary: Boundary, inbox: Inbox, send: Send, ending: Ending) -> None:
        self.life = life
        self.inbox = inbox
        self.ending = ending
        self.loop = asyncio.get_running_loop()
        self.flow = Flow(life, boundary, send, self.left)
        self.gone = self.completed = self.dropping = False
        self._send = send
        self._leaving = False
        self._dropped = 0
        self._last: Message | None = None
        self._timer: Timer | None = None
        self._hold: asyncio.Future[None] | None = None
        self._aside: Task | None = None

    async def start(self, message: Message, *, empty: bool) -> None:
        """Send the head; with `empty`, and an empty piece of body after it, for which some servers wait."""
        self.life.stoppable_by(lambda: call_threadsafe(self.loop, self._stop))
        await self.flow.deliver(message)
        if empty and not self.dropping:
            await self.flow.deliver(body_of(b"", more=True))
        self.inbox.watch(self.left)
        self.flow.start_fillers()

    async def send(self, message: Message) -> None:
        """Take a message of the app.

        Raises:
            OSError: The client has left, or the stream is over.
        """
        self.ending.note_sender()
        if self.completed:
            await self._send(message)  # trailers; or more than there should be, of which the server complains
        elif self.dropping:
            await self._drop()
        elif self.gone:
            await self._refuse()
        elif self._last is not None:
            await self._send_last()
            await self._send(message)
        elif message["type"] == BODY:
            await self._send_body(message)
        elif await self.flow.deliver(message) and _ends_body(message):
            self.completed = True
            self._close()

    async def _send_body(self, message: Message) -> None:
        await self.flow.take_turn()
        more = message.get("more_body", False)
        if not more:
            self._last = body_of(b"", more=False)
            message = {**message, "more_body": True}
        if more or message.get("body"):
            await self.flow.deliver(message)
            self.life.frames += 1
        if not more:
            self._expect_return()
        elif self._leaving:
            self._take_leave()

    # -- the end, as the app has it ------------------------------------------------------------------------------

    def _expect_return(self) -> None:
        """Let the last message go when the app returns, or soon."""
        self.flow.stop_fillers()
        self._timer = self.life.clock.call_later(self.loop, LAST_GRACE, self._last_is_due)

    def _last_is_due(self) -> None:
        self._aside = self.loop.create_task(self._send_last_aside())

    async def _send_last_aside(self) -> None:
        try:
            await self._send_last()
        except Exception as exc:
            logger.debug("The end of a stream could not be sent: %r", exc)

    async def _send_last(self) -> None:
        message, self._last = self._last, None
        if message is not None and not self.gone and await self.flow.deliver(message):
            self.completed = True
            self._close()

    async def app_returned(self, error: BaseException | None) -> None:
        """Take note that the app is over."""
        self.flow.stop_fillers()
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self.ending.finished()
            if error is None:
                await self._send_last()
        finally:
            self.inbox.stop()
            self._close()

    def _close(self) -> None:
        """Count the stream as ended."""
        self.flow.stop()
        self.life.close("completed" if self.completed else "disconnected" if self.gone else "error")

    # -- the end, because the client has left --------------------------------------------------------------------

    def left(self) -> None:
        """Take note that the client has left."""
        if not (self.gone or self.completed or self.dropping or self.ending.over.done()):
            self.gone = True
            self.flow.stop_fillers()
            if self._timer is not None:
                self._timer.cancel()
            self._hold = self.loop.create_future()
            self._timer = self.life.clock.call_later(self.loop, LEFT_GRACE, self._hold_no_longer)
            self.ending.note_generators()

    def _hold_no_longer(self) -> None:
        if self._hold is not None:
            self._hold.set_result(None)
        if not self.inbox.heard:
            self.ending.begin()

    async def _refuse(self) -> None:
        if self._hold is not None and not self._hold.done():
            self.ending.note_generators_soon()
            await asyncio.shield(self._hold)
        await asyncio.sleep(0)  # an app that sends on all the same freezes nobody
        raise ConnectionResetError(errno.ECONNRESET, "the client has left")

    # -- the end, because somebody asks for it -------------------------------------------------------------------

    def _stop(self) -> None:
        """End the stream as its life says: cleanly at the end of an event, or at once."""
        if self.completed or self.gone or self.ending.over.done() or self._last is not None:
            if not self.life.clean:
                self.flow.give_up()  # the client does not read the last there is
        elif self.life.clean:
            self._leaving = True
            self._take_leave()
        elif not self.flow.given_up:
            self._drop_all()
            self.flow.give_up()
            self.ending.begin()

    def _take_leave(self) -> None:
        """Say the last word and end the body, where the stream may be parted; else when it may."""
        if not self.dropping and self.flow.boundary.at and not self.flow.delivering:
            self._drop_all()
            self.life.has_taken_leave = True
            self.ending.begin(self._say_farewell)

    async def _say_farewell(self) -> None:
        farewell = self.life.farewell()
        try:
            if not farewell or await self.flow.deliver(body_of(farewell, more=True)):
                await self.flow.deliver(body_of(b"", more=False))
        except Exception as exc:
            logger.debug("The end of a stream could not be sent: %r", exc)

    def _drop_all(self) -> None:
        self.dropping = True
        self.inbox.hide()  # that the response is over is no news to the app yet
        self.flow.stop_fillers()

    async def _drop(self) -> None:
        """Let some messages go, so that a generator goes on to where it waits; hold the sender of more."""
        self._dropped += 1
        await asyncio.sleep(0)
        if self._dropped > DROPS:
            await self.ending.refuse()


def _ends_body(message: Message) -> bool:
    """Tell whether a message other than a piece of body, a file handed to the server, is the whole rest of the body."""
    kind = message["type"]
    return kind == "http.response.pathsend" or (kind == "http.response.zerocopysend" and not message.get("more_body"))
