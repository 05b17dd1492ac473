"""What an async pump has encoded and not sent yet.

A frame leaves the buffer when its delivery has returned: nothing is sent twice and nothing is lost, also when the
source raises meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from time import perf_counter
from typing import Any

from streamkit._engine.delivery import DeliveryFailed
from streamkit._engine.message import Send, body_of
from streamkit._engine.sender import Sender
from streamkit._engine.stream import Stream


class Outlet(Sender):
    """The buffer of one stream on one event loop.

    Attributes:
        frames: What is to be sent.
        size: Of the frames, in bytes; whoever appends frames for a while without waiting may add it up later.
    """

    __slots__ = ("_aside", "_ending", "frames", "size")

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self.frames: list[bytes] = []
        self.size, self._ending = 0, False
        self._aside: asyncio.Task[None] | None = None

    @property
    def index(self) -> int:
        """How many items were encoded."""
        return self._life.frames + len(self.frames)

    def append(self, frame: bytes) -> None:
        """Take the frame of one item."""
        self.frames.append(frame)
        self.size += len(frame)

    async def flush(self, begun: float | None = None) -> float:
        """Deliver what there is.

        Args:
            begun: What `perf_counter` has said just before, if anybody has asked it.

        Returns:
            What `perf_counter` says afterwards.

        Raises:
            DeliveryFailed: The server's `send` raised.
            CancelledError: The task was cancelled meanwhile; what was sent has left all the same.
                Or `give_up` was called.
        """
        if (send := self.ready) is None:
            send, begun = await self.until_ready(), None
        frames, begun = self.frames, begun or perf_counter()
        count = len(frames)
        chunk = frames[0] if count == 1 else b"".join(frames)
        if chunk:
            self.sending = True
            try:
                await send(body_of(chunk, more=True))
            except BaseException as exc:
                self.failed(exc)
        del frames[:count]
        self.size -= len(chunk)
        return self.sent(chunk, count, begun)

    async def flush_last(self, last: bytes) -> None:
        """Deliver what there is, and then `last`; from the server's own task, which the server may cancel."""
        self._in_servers_task = True
        await self.whole(self._flush_last(last))

    async def _flush_last(self, last: bytes) -> None:
        await self.flush()
        if last:
            await self.send_alone(last)

    # -- beside the source's own task --------------------------------------------------------------------------

    def filling(self, begun: float) -> Generator[Any, Any, None] | None:
        """Return what sends the filler, unless a delivery is under way."""
        send = self.ready
        return None if send is None else self._fill(send, begun).__await__()

    async def _fill(self, send: Send, begun: float) -> None:
        filler, self.sending = self.stream.format.keepalive, True
        try:
            try:
                await send(body_of(filler, more=True))
            except BaseException as exc:
                self.failed(exc)
            if self.sender is None:  # it left at once: so much of `sent` as is left then, which reads no clock
                self.sending = False
                if self._measures:
                    self._life.bytes += len(filler)
            else:
                self.sent(filler, 0, begun)
                await self._flush_all()
        except DeliveryFailed as failure:
            self.delivery_failed(failure)

    def flush_aside(self) -> None:
        """Send from a task of its own: the source is suspended, or silent."""
        busy = self._aside is not None and not self._aside.done()
        if self.frames and self.ready is not None and not busy and not self._ending:
            self._aside = self._loop.create_task(self._send_aside())

    async def _send_aside(self) -> None:
        try:
            await self.whole(self._flush_all())
        except DeliveryFailed as failure:
            self.delivery_failed(failure)
        finally:
            self._aside = None

    async def _flush_all(self) -> None:
        while self.frames and not self._ending:
            await self.flush()

    def delivery_failed(self, failure: DeliveryFailed) -> None:
        """Be told that a delivery from aside has failed."""
