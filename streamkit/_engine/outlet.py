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
from streamkit._engine.keepalive import Fill, Keepalive
from streamkit._engine.stream import Stream

Deliver = Callable[[bytes], Awaitable[None]]
Begun = tuple[Stepped, int, bytes, float]
"""A delivery that has not returned: its send, how many frames it takes, their bytes, and when it began."""


class Outlet:
    """The buffer of one stream on one event loop. Nothing is delivered before `open`.

    Attributes:
        frames: What is to be sent.
        size: Of the frames, in bytes; whoever appends frames for a while without waiting may add it up later.
        deliver: Where they go, once `open` was called.
        sender: The task that waits for the delivery under way.
        given_up: Nothing is delivered any more.
        stalled: A delivery was under way then, which the client did not take.
    """

    def __init__(self, stream: Stream, loop: asyncio.AbstractEventLoop) -> None:
        self.frames: list[bytes] = []
        self.size = self._left = 0
        self._stream, self._loop = stream, loop
        self.given_up = self.stalled = False
        self.deliver: Deliver | None = None
        self._opened: asyncio.Future[None] | None = None
        self._in_servers_task = False
        self._begun: Begun | None = None
        self.sender: asyncio.Task[Any] | None = None
        self._delivered: asyncio.Future[None] | None = None
        self._suspended: Callable[[], None] | None = None
        self._keepalive: Keepalive | None = None
        self._limit: Timer | None = None

    def open(self, deliver: Deliver, fill: Fill | None) -> None:
        """Let frames go to `deliver` from now on.

        Where that is the server's own `send`, `fill` is called when the stream was silent for long, a client that is
        slow for long ends it, and what it takes is counted.
        """
        self.deliver = deliver
        if self._opened is not None:
            self._opened.set_result(None)
        if fill is not None:
            self._suspended = self._limit_delivery
            if (interval := self._stream.interval) is not None:
                self._keepalive = Keepalive(interval, self._stream.clock, self._stream.context, fill)

    @property
    def index(self) -> int:
        """How many items were encoded."""
        return self._left + len(self.frames)

    def give_up(self, *, besides: asyncio.Task[None] | None) -> None:
        """Cancel the delivery under way, unless it is in the task `besides`; from now on any can be cancelled."""
        if not self.given_up:
            self.given_up = True
            self.stalled = self.sender is not None
            if self.sender is not None and self.sender is not besides:
                self.sender.cancel()

    def append(self, frame: bytes, *, item: bool = True) -> None:
        """Take the frame of one item, or one that is not any item's."""
        self.frames.append(frame)
        self.size += len(frame)
        if not item:
            self._left -= 1

    def stop_fillers(self) -> None:
        """Never call `fill` again."""
        if self._keepalive is not None:
            self._keepalive.stop()

    def flush_at_once(self) -> bool:
        """Deliver what there is, where nothing needs to be waited for; else `flush` is to be awaited next.

        Raises:
            DeliveryFailed: The server's `send` raised.
        """
        if self.deliver is None or self.sender is not None:
            return False
        self._begun = self._begin(self.deliver)
        return self._begun is None

    async def flush(self) -> None:
        """Deliver what there is.

        Raises:
            DeliveryFailed: The server's `send` raised.
            CancelledError: The task was cancelled meanwhile; what was sent has left all the same.
                Or `give_up` was called.
        """
        begun, self._begun = self._begun, None
        if begun is None:
            while self.deliver is None:
                self._opened = self._opened or self._loop.create_future()
                await asyncio.shield(self._opened)
            while self.sender is not None:
                self._delivered = self._delivered or self._loop.create_future()
                await asyncio.shield(self._delivered)
            if self.given_up:
                raise asyncio.CancelledError  # what was under way did not leave, nor will this
            begun = self._begin(self.deliver)
        if begun is not None:
            kept = await self._wait_for(begun[0])
            self._have_left(*begun[1:])
            if kept is not None:
                raise kept

    async def flush_last(self, last: bytes) -> None:
        """Deliver what there is, and then `last`; from the server's own task, which the server may cancel."""
        self._in_servers_task = True
        self.append(last, item=False)
        await self.flush()

    async def finish(self, send: Callable[[], Awaitable[None]]) -> None:
        """Call `send`, which ends the body, under the limits of any delivery; from the server's own task."""
        self._in_servers_task = True
        stepped = first_step(send())
        if stepped is not None:
            await self._wait_for(stepped)

    def _begin(self, deliver: Deliver) -> Begun | None:
        begun, frames = perf_counter(), self.frames
        count = len(frames)
        chunk = frames[0] if count == 1 else b"".join(frames)
        stepped = first_step(deliver(chunk)) if chunk else None
        if stepped is not None:
            return stepped, count, chunk, begun
        self._have_left(count, chunk, begun)
        return None

    async def _wait_for(self, stepped: Stepped) -> asyncio.CancelledError | None:
        self.sender = asyncio.current_task()
        try:
            return await deliver_whole(stepped, lambda: self.given_up or self._in_servers_task, self._suspended)
        finally:
            self.sender = None
            if self._delivered is not None:
                self._delivered.set_result(None)
                self._delivered = None
            if self._limit is not None:
                self._limit.cancel()
                self._limit = None

    def _have_left(self, count: int, chunk: bytes, begun: float) -> None:
        stream, life = self._stream, self._stream.life
        if chunk and stream.counts:
            life.frames = self.index
        if chunk and self._keepalive is not None:
            self._keepalive.sent()
        if chunk and self._suspended is not None and stream.measures:
            life.flushed(chunk, perf_counter() - begun)
        del self.frames[:count]
        self._left += count
        self.size -= len(chunk)

    def _limit_delivery(self) -> None:
        """End the stream when the delivery, which waits for the client now, waits too long."""
        timeout, life = self._stream.policy.send_timeout, self._stream.life
        if timeout is not None and self._limit is None:
            self._limit = self._stream.clock.call_later(self._loop, timeout, lambda: life.end("slow_client"))
