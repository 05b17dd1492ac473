"""Run an async source on some event loop for a reader elsewhere: a WSGI server's thread, or a host's own iteration."""

from __future__ import annotations

import asyncio

from streamkit._engine.async_pump import AsyncPump
from streamkit._engine.delivery import DeliveryFailed
from streamkit._engine.handoff import call_threadsafe, put_from_loop, wait_in_loop
from streamkit._engine.hold import Hold
from streamkit._engine.message import Message
from streamkit._engine.producer import Producer
from streamkit._engine.stream import Stream
from streamkit._engine.thread_pump import ThreadPump
from streamkit._engine.threads import running_loop


class LoopPump(Producer):
    """Runs one async source for one stream, into a handoff of bytes.

    Args:
        stream: The stream.
        loop: The loop to run on; it may belong to another thread.
        hold: What keeps the pump at its first item, when it is primed.
    """

    share = 2  # one half of the buffer for what the pump gathers, one for what waits for the reader

    def __init__(self, stream: Stream, loop: asyncio.AbstractEventLoop, hold: Hold | None = None) -> None:
        super().__init__(stream, hold)
        self._loop = loop
        self._pump: AsyncPump | None = None
        self._ending: asyncio.Task[None] | None = None
        self._reader_waits_here = running_loop() is loop
        call_threadsafe(loop, self._begin)

    def stop(self) -> None:
        """Say that the client has left, also to the source where it waits."""
        super().stop()
        call_threadsafe(self._loop, self._stop)

    def stop_after_these(self) -> None:
        """Do so when the source has been closed."""
        call_threadsafe(self._loop, self._stop_after_these)

    def _begin(self) -> None:
        pump = self._pump = AsyncPump(self.stream, hold=self._hold, share=self.share)
        pump.when_closed = lambda: self._ended(pump)
        if self.handoff.closed:
            pump.stop()
        else:
            pump.open(self._deliver, to_server=False)

    async def _deliver(self, message: Message) -> None:
        await put_from_loop(self.handoff, message["body"])
        # Where the reader is on this loop, the source may block it next, and the reader with it.
        come_back = self.handoff.when_taken if self._reader_waits_here else self.handoff.when_room
        if not await wait_in_loop(come_back, self.stream.policy.send_timeout, self.stream.clock):
            raise self.reader_is_slow()

    def _stop(self) -> None:
        if self._pump is not None:
            self._pump.stop()

    def _stop_after_these(self) -> None:
        if self._pump is not None and self._ending is None and not (self.over.ended or self.handoff.closed):
            self._ending = self._loop.create_task(self._end_after_these(self._pump))

    async def _end_after_these(self, pump: AsyncPump) -> None:
        pump.stop(patiently=True)
        await pump.finished()
        try:
            await pump.flush_last(b"")
        except DeliveryFailed:
            pass  # the reader has left meanwhile
        finally:
            self.handoff.end(pump.error)

    def _ended(self, pump: AsyncPump) -> None:
        self.completed = pump.completed
        self.over.end()
        if self._ending is None:
            self.handoff.end(pump.error)


def start_pump(stream: Stream) -> Producer:
    """Start the pump of a stream whose bytes are read on the running loop; one that was primed runs already.

    Raises:
        TooManyStreamsError: There is no thread left for a sync source.
    """
    if stream.producer is not None:
        stream.producer.release()
        return stream.producer
    return LoopPump(stream, asyncio.get_running_loop()) if stream.goes_async(prefer=True) else ThreadPump(stream)
