"""What an async pump has encoded and not sent yet, and the one delivery that is in flight.

A frame leaves the buffer when its delivery has returned: nothing is sent twice and nothing is lost, also when the
source raises meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from time import perf_counter
from typing import Any, cast

from streamkit._engine.clock import Timer
from streamkit._engine.delivery import ClientLeft, DeliveryFailed, sending_whole, until_done
from streamkit._engine.keepalive import Fill, Keepalive
from streamkit._engine.stream import Stream

Deliver = Callable[[bytes], Awaitable[None]]


class Outlet:
    """The buffer of one stream on one event loop. Nothing is delivered before `open`.

    What awaits `flush` is run by `sending_whole`.

    Attributes:
        frames: What is to be sent.
        size: Of the frames, in bytes; whoever appends frames for a while without waiting may add it up later.
        deliver: Where they go, once `open` was called.
        sender: The task in which a delivery waits.
        sending: Whether the code that runs now is inside a delivery.
        waited: Set whenever what is run by `sending_whole` gives the loop a turn.
        given_up: Nothing is delivered any more.
        stalled: A delivery was waiting then, which the client did not take.
    """

    def __init__(self, stream: Stream, loop: asyncio.AbstractEventLoop, needed: Callable[[], None]) -> None:
        self.frames: list[bytes] = []
        self.size = self._left = self._cancelled_before = 0
        self._stream, self._loop, self._needed = stream, loop, needed
        self.sending = self.waited = self.given_up = self.stalled = False
        self.deliver: Deliver | None = None
        self._opened: asyncio.Future[None] | None = None
        self._in_servers_task = self._to_server = self._measures = False
        self.sender: asyncio.Task[Any] | None = None
        self._kept: asyncio.CancelledError | None = None
        self._delivered: asyncio.Future[None] | None = None
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
            self._to_server, self._measures = True, self._stream.measures
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

    async def flush(self, begun: float | None = None, end: Callable[[], Awaitable[None]] | None = None) -> float:
        """Deliver what there is; or call `end`, which ends the body.

        Args:
            begun: What `perf_counter` has said just before, if anybody has asked it.
            end: Sends the end of the body.

        Returns:
            What `perf_counter` says afterwards.

        Raises:
            DeliveryFailed: The server's `send` raised.
            CancelledError: The task was cancelled meanwhile; what was sent has left all the same.
                Or `give_up` was called.
        """
        deliver = self.deliver
        while deliver is None or self.sender is not None or self.given_up:
            begun = await self._until_free()
            deliver = self.deliver
        frames, kept, begun = self.frames, None, begun or perf_counter()
        count = len(frames)
        chunk = frames[0] if count == 1 else b"".join(frames)
        self.sending = True
        try:
            if end is not None:
                await end()
            elif chunk:
                await deliver(chunk)
        except OSError as exc:
            raise ClientLeft from exc  # which is how a server says so (ASGI, "Disconnected Client")
        except Exception as exc:
            raise DeliveryFailed from exc
        finally:
            self.sending = False
            if self.sender is not None:
                kept = self._end_wait()
        del frames[:count]
        self._left += count
        self.size -= len(chunk)
        now = perf_counter()
        if chunk:
            self._account(chunk, now - begun)
        if kept is not None:
            raise kept
        return now

    def _account(self, chunk: bytes, seconds: float) -> None:
        stream, keepalive = self._stream, self._keepalive
        if stream.counts:
            stream.life.frames = self._left
        if keepalive is not None:
            keepalive.last_sent = stream.clock.now()
        if self._measures:
            stream.life.flushed(chunk, seconds)

    async def flush_last(self, last: bytes) -> None:
        """Deliver what there is, and then `last`; from the server's own task, which the server may cancel."""
        self._in_servers_task = True
        self.append(last, item=False)
        await sending_whole(self.flush(), self)

    async def finish(self, send: Callable[[], Awaitable[None]]) -> None:
        """Call `send`, which ends the body, under the limits of any delivery; from the server's own task."""
        self._in_servers_task = True
        await sending_whole(self.flush(end=send), self)

    async def _until_free(self) -> float:
        """Wait until something can be delivered: there is where to, and nothing is under way."""
        if self.deliver is None:
            self._needed()
        while self.deliver is None:
            self._opened = self._opened or self._loop.create_future()
            await asyncio.shield(self._opened)
        while self.sender is not None:
            self._delivered = self._delivered or self._loop.create_future()
            await asyncio.shield(self._delivered)
        if self.given_up:
            raise asyncio.CancelledError  # what was under way did not leave, nor will this
        return perf_counter()

    # -- a delivery that waits -----------------------------------------------------------------------------------

    def wait(self, awaited: Any) -> Generator[Any, None, None]:
        """Wait for what the delivery waits for; keep a cancellation that is not meant for it until it has returned."""
        self.sending = False
        if self.sender is None:
            self.sender = task = cast("asyncio.Task[Any]", asyncio.current_task())
            self._cancelled_before = task.cancelling()
        if self._to_server:
            self._limit_delivery()
        try:
            while True:
                try:
                    yield from until_done(awaited)
                except asyncio.CancelledError as exc:
                    if self.given_up or self._in_servers_task:
                        raise
                    self._kept = exc
                else:
                    return
        finally:
            self.sending = True

    def _end_wait(self) -> asyncio.CancelledError | None:
        """Let the next delivery begin; return what is to be raised now, if it is still standing.

        A cancellation that the send's own timeout had asked for is not.
        """
        task, kept, self.sender, self._kept = self.sender, self._kept, None, None
        if self._delivered is not None:
            self._delivered.set_result(None)
            self._delivered = None
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
        return kept if task is not None and task.cancelling() > self._cancelled_before else None

    def _limit_delivery(self) -> None:
        """End the stream when the delivery, which waits for the client now, waits too long."""
        timeout, life = self._stream.policy.send_timeout, self._stream.life
        if timeout is not None and self._limit is None:
            self._limit = self._stream.clock.call_later(self._loop, timeout, lambda: life.end("slow_client"))
