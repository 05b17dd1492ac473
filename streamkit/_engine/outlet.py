"""What an async pump has encoded and not sent yet.

A frame leaves the buffer when its delivery has returned: nothing is sent twice and nothing is lost, also when the
source raises meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from time import perf_counter
from typing import Any

from streamkit._engine.delivery import DONE, DeliveryFailed, stepping
from streamkit._engine.message import body_of
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

    def fill(self) -> Generator[Any, Any, None] | None:
        """Send the filler, unless data is to leave; return what is to be stepped on where it has not left at once."""
        if self._busy_aside or self.frames:
            return None
        filling = stepping(self._flush_all_aside(self.stream.format.keepalive))
        awaited = next(filling, DONE)
        return None if awaited is DONE else self.whole(filling, (awaited,))

    def flush_aside(self) -> None:
        """Send from a task of its own: the source is suspended, or silent."""
        if self.frames and not self._busy_aside:
            self._aside = self._loop.create_task(self._send_aside())

    @property
    def _busy_aside(self) -> bool:
        """Whether nothing may be sent beside the source's own task, or something is sent already."""
        task = self._aside
        return self.ready is None or not (task is None or task.done()) or self._ending

    async def _send_aside(self) -> None:
        await self.whole(self._flush_all_aside())

    async def _flush_all_aside(self, filler: bytes = b"") -> None:
        try:
            if filler:
                await self.send_alone(filler)
            while self.frames and not self._ending:
                await self.flush()
        except DeliveryFailed as failure:
            self.delivery_failed(failure)
        finally:
            self._aside = None

    def delivery_failed(self, failure: DeliveryFailed) -> None:
        """Be told that a delivery from aside has failed."""
