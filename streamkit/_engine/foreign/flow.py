"""The way of a foreign stream's messages to the server: one at a time, in order, each within its time.

A send of the app and a filler never overlap. Whoever sends for more than a millisecond without a pause gives the event
loop a turn, so that a generator which never awaits freezes nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

from streamkit._engine.boundary import Boundary
from streamkit._engine.clock import Timer
from streamkit._engine.keepalive import Keepalive
from streamkit._engine.life import Life
from streamkit._engine.message import BODY, Message, Send, body_of
from streamkit._engine.register import logger
from streamkit._engine.transport import abort_connection

TURN = 0.001
"""Seconds for which sends may go on before the loop gets a turn."""


class Flow(Keepalive):
    """Delivers the messages of one stream.

    Attributes:
        boundary: Tells whether the stream stands between two frames.
        given_up: Nothing is delivered any more.
    """

    def __init__(self, life: Life, boundary: Boundary, send: Send, on_left: Callable[[], object]) -> None:
        super().__init__(life.policy._keepalive_interval(life.format), life.clock, life.context)
        self.life = life
        self.boundary = boundary
        self.given_up = False
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._on_left = on_left
        self._lock = asyncio.Lock()
        self._sender: asyncio.Task[object] | None = None
        self._interrupted = False
        self._began = 0.0
        self._limit: Timer | None = None
        self._unbroken_since: float | None = None
        self._filling: asyncio.Task[None] | None = None

    @property
    def delivering(self) -> bool:
        """Whether a message is on its way."""
        return self._lock.locked()

    def stop(self) -> None:
        """Leave no timer behind."""
        self.stop_fillers()
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def give_up(self) -> None:
        """Deliver nothing any more, not even to its end what is on its way."""
        self.given_up = True
        if self._sender is not None and not self._interrupted:
            self._interrupted = True
            self._sender.cancel()
            abort_connection(self._send)

    async def deliver(self, message: Message) -> bool:
        """Hand a message, of the app or ours, to the server; False when it was given up.

        Raises:
            OSError: The server's `send` says that the client has left.
            Exception: Any other that it raised.
        """
        async with self._lock:
            if self.given_up:
                return False
            chunk = _bytes_of(message)
            begun, self._began = perf_counter(), self.clock.now()
            self._watch_time()
            if not await self._send_whole(message):
                return False
            self.boundary.feed(chunk)
            self.life.flushed(chunk, perf_counter() - begun)
            if chunk:
                self.last_sent = self.clock.now()
            return True

    async def _send_whole(self, message: Message) -> bool:
        task = self._sender = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        try:
            await self._send(message)
        except asyncio.CancelledError:
            if not self._interrupted or task is None or task.uncancel() > before:
                raise  # somebody else's, or somebody else's too
            return False
        except OSError:
            self._on_left()
            raise
        finally:
            self._sender = None
        return True

    async def take_turn(self) -> None:
        """Give the loop a turn when it has had none for a millisecond of sends."""
        if self._unbroken_since is not None and perf_counter() - self._unbroken_since > TURN:
            await asyncio.sleep(0)
        if self._unbroken_since is None:
            self._unbroken_since = perf_counter()
            self._loop.call_soon(self._broken)

    def _broken(self) -> None:
        self._unbroken_since = None

    # -- time ----------------------------------------------------------------------------------------------------

    def _watch_time(self) -> None:
        """Look whether this send takes too long. One timer serves many sends: most are over at once."""
        if self._limit is None and (timeout := self.life.policy.send_timeout) is not None:
            self._limit = self.clock.call_later(self._loop, timeout, self._look)

    def _look(self) -> None:
        self._limit = None
        timeout = self.life.policy.send_timeout
        if self._sender is None or timeout is None:
            return
        left = self._began + timeout - self.clock.now()
        if left <= 0:
            self.life.end("slow_client")
        else:
            self._limit = self.clock.call_later(self._loop, left, self._look)

    def filling(self, begun: float) -> None:
        """Send the filler, unless a message is on its way or the stream is inside an event."""
        if self.boundary.at and not self.delivering:
            self._filling = self._loop.create_task(self._deliver_filler(), context=self.context)

    async def _deliver_filler(self) -> None:
        if not self.boundary.at or self.delivering:
            return
        try:
            await self.deliver(body_of(self.life.format.keepalive, more=True))
        except Exception as exc:
            logger.debug("A keepalive could not be sent: %r", exc)


def _bytes_of(message: Message) -> bytes:
    body = message.get("body", b"") if message["type"] == BODY else b""
    return body if type(body) is bytes else bytes(body)
