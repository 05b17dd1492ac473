"""What an async pump has encoded and not sent yet, and the one delivery that is in flight.

A frame leaves the buffer when its delivery has returned: nothing is sent twice and nothing is lost, also when the
source raises meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from streamkit._engine.clock import Timer
from streamkit._engine.delivery import Stepped, deliver_whole, first_step
from streamkit._engine.keepalive import Keepalive
from streamkit._engine.stream import Stream

Deliver = Callable[[bytes], Awaitable[None]]


class Outlet:
    """The buffer of one stream on one event loop. Nothing is delivered before `open`.

    Attributes:
        frames: What is to be sent.
        size: Of the frames, in bytes.
        index: How many items were encoded.
        given_up: Nothing is delivered any more.
        stalled: A delivery was under way then, which the client did not take.
    """

    def __init__(self, stream: Stream, loop: asyncio.AbstractEventLoop) -> None:
        self.frames: list[bytes] = []
        self.size = 0
        self.index = 0
        self.opened: asyncio.Future[Deliver] = loop.create_future()
        self._stream = stream
        self._loop = loop
        self.given_up = False
        self.stalled = False
        self._in_servers_task = False
        self._sender: asyncio.Task[Any] | None = None
        self._delivered: asyncio.Future[None] | None = None
        self._suspended: Callable[[], None] | None = None
        self._keepalive: Keepalive | None = None
        self._limit: Timer | None = None

    def open(self, deliver: Deliver, fill: Callable[[], object] | None) -> None:
        """Let frames go to `deliver` from now on.

        Where that is the server's own `send`, `fill` is called when the stream was silent for long, a client that is
        slow for long ends it, and what it takes is counted.
        """
        self.opened.set_result(deliver)
        if fill is not None:
            self._suspended = self._limit_delivery
            self._keepalive = Keepalive(self._stream, self._loop, fill)

    @property
    def delivering(self) -> bool:
        """Whether a delivery is under way."""
        return self._sender is not None

    def give_up(self, *, besides: asyncio.Task[None] | None) -> None:
        """Cancel the delivery under way, unless it is in the task `besides`; from now on any can be cancelled."""
        if not self.given_up:
            self.given_up = True
            self.stalled = self._sender is not None
            if self._sender is not None and self._sender is not besides:
                self._sender.cancel()

    def append(self, frame: bytes) -> None:
        """Take the frame of one item."""
        self.frames.append(frame)
        self.size += len(frame)
        self.index += 1

    def stop_fillers(self) -> None:
        """Never call `fill` again."""
        if self._keepalive is not None:
            self._keepalive.stop()

    async def quiet(self) -> None:
        """Wait until no delivery is under way."""
        while self.delivering:
            self._delivered = self._delivered or self._loop.create_future()
            await asyncio.shield(self._delivered)

    async def flush(self) -> None:
        """Deliver what there is.

        Raises:
            DeliveryFailed: The server's `send` raised.
            CancelledError: The task was cancelled meanwhile; what was sent has left all the same.
                Or `give_up` was called.
        """
        if not self.opened.done():
            await asyncio.shield(self.opened)
        if self._sender is not None:
            await self.quiet()
        if self.given_up:
            raise asyncio.CancelledError  # what was under way did not leave, nor will this
        count, kept = len(self.frames), None
        chunk = self.frames[0] if count == 1 else b"".join(self.frames)
        if chunk:
            begun = perf_counter()
            stepped = first_step(self.opened.result()(chunk))
            if stepped is not None:
                kept = await self._deliver(stepped)
            self._took(chunk, perf_counter() - begun)
        del self.frames[:count]
        self.size -= len(chunk)
        if kept is not None:
            raise kept

    async def flush_last(self, last: bytes) -> None:
        """Deliver what there is, and then `last`; from the server's own task, which the server may cancel."""
        self._in_servers_task = True
        self.frames.append(last)
        self.size += len(last)
        await self.flush()

    async def finish(self, send: Callable[[], Awaitable[None]]) -> None:
        """Call `send`, which ends the body, under the limits of any delivery; from the server's own task."""
        self._in_servers_task = True
        stepped = first_step(send())
        if stepped is not None:
            await self._deliver(stepped)

    async def _deliver(self, stepped: Stepped) -> asyncio.CancelledError | None:
        self._sender = asyncio.current_task()
        try:
            return await deliver_whole(stepped, self._may_be_given_up, self._suspended)
        finally:
            self._returned()

    def _may_be_given_up(self) -> bool:
        return self.given_up or self._in_servers_task

    def _returned(self) -> None:
        self._sender = None
        if self._delivered is not None:
            self._delivered.set_result(None)
            self._delivered = None
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _took(self, chunk: bytes, seconds: float) -> None:
        life = self._stream.life
        if self._stream.counts:
            life.frames = self.index
        if self._keepalive is not None:
            self._keepalive.sent()
            if self._stream.measures:
                life.flushed(chunk, seconds)

    def _limit_delivery(self) -> None:
        """End the stream when the delivery, which waits for the client now, waits too long."""
        timeout, life = self._stream.policy.send_timeout, self._stream.life
        if timeout is not None and self._limit is None:
            self._limit = self._stream.clock.call_later(self._loop, timeout, lambda: life.end("slow_client"))
