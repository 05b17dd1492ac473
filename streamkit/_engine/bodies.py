"""Drains that a host iterates: a WSGI server, or a framework that sends for itself.

They read what a pump has made, and so can send a filler while the source is silent.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from inspect import isasyncgen

from streamkit._engine.ending import Ending, Meter
from streamkit._engine.handoff import call_threadsafe, take_in_loop, take_in_thread, wait_in_loop, wait_in_thread
from streamkit._engine.producer import Producer
from streamkit._engine.source import close_async
from streamkit._engine.stream import Stream
from streamkit._engine.thread_pump import ThreadPump
from streamkit._engine.threads import running_loop

Chunks = AsyncIterable[str | bytes | memoryview]

CLOSE_GRACE = 0.5
"""Seconds that closing a body waits for the source to be closed, where that can be soon."""


class PumpedBody:
    """Gives a WSGI server what a pump has made, waiting in the server's thread."""

    def __init__(self, stream: Stream, producer: Producer) -> None:
        self._stream = stream
        self._producer = producer
        self.meter = Meter(stream)
        self._ending = Ending(stream, producer)
        self._opened = False
        self._started = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._opened:
            self._opened = True
            return b""  # servers that write the head with the first item, even an empty one, write it now
        self.meter.back()
        stream = self._stream
        patience = stream.patience(started=self._started)
        try:
            taken = take_in_thread(self._producer.handoff, timeout=patience, clock=stream.clock)
            self._started = True
            if taken is None:
                return self.meter.gone(stream.filler())
            if chunk := b"".join(taken) or self._ending.last():
                return self.meter.gone(chunk)
            raise StopIteration
        except BaseException as exc:
            self.meter.ended(exc)
            raise

    def stop(self) -> None:
        """Say that the client has left; from any thread, and without waiting."""
        self._producer.stop()

    def close(self) -> None:
        """End the source; returns within half a second also when the source cannot be stopped yet."""
        producer, stream = self._producer, self._stream
        if not producer.over.ended:
            producer.stop()
            if not producer.in_source:
                leaving = stream.life.reason == "drained"  # then nobody else waits for the server's thread
                grace = stream.policy.cleanup_timeout if leaving else CLOSE_GRACE
                wait_in_thread(producer.over.when_readable, grace, stream.clock)
            if isinstance(producer, ThreadPump) and not producer.over.ended:
                from streamkit._engine.background import background_loop

                producer.watch_cleanup(background_loop())
        self.meter.close()

    def __del__(self) -> None:
        if not self._producer.over.ended:
            self._producer.stop()
        self.meter.close()


class AsyncBody:
    """Gives a framework that sends for itself what a pump has made, awaiting on its event loop.

    The pump starts at the first `anext`, on the loop that asks.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._producer: Producer | None = None
        self.meter = Meter(stream)
        self._started = False
        self._closed = False

    def __aiter__(self) -> AsyncBody:
        return self

    async def __anext__(self) -> bytes:
        if self._closed:
            raise StopAsyncIteration
        if self._producer is None:
            self._producer = self._start()
            return b""  # as the head does on ASGI, so that a server that holds it lets it go
        self.meter.back()
        stream = self._stream
        patience = stream.patience(started=self._started)
        try:
            taken = await take_in_loop(self._producer.handoff, timeout=patience, clock=stream.clock)
            self._started = True
            if taken is None:
                return self.meter.gone(stream.filler())
            if chunk := b"".join(taken) or self._ending.last():
                return self.meter.gone(chunk)
            raise StopAsyncIteration
        except BaseException as exc:
            self.meter.ended(exc)
            await self.aclose()
            raise

    def _start(self) -> Producer:
        from streamkit._engine.loop_pump import start_pump

        with self._stream.life.opening(running_loop()) as self.meter.opened:
            producer = start_pump(self._stream)
        self._ending = Ending(self._stream, producer)
        return producer

    def stop(self) -> None:
        """Say that the client has left; from any thread, and without waiting."""
        if self._producer is not None:
            self._producer.stop()

    async def aclose(self) -> None:
        """End the source and wait for its cleanup; for one that a thread is inside of, half a second at most."""
        closed, self._closed = self._closed, True
        try:
            if self._producer is not None:
                await stop_and_wait(self._producer, self._stream)
            elif not closed:
                discard(self._stream)
        finally:  # a host may cancel that too
            self.meter.close()

    def __del__(self) -> None:
        if self._producer is not None and not self._producer.over.ended:
            self._producer.stop()
        self.meter.close()


async def as_bytes(chunks: Chunks, charset: str) -> AsyncIterator[bytes]:
    """Read a body that a framework or its middleware may have replaced; close it at the end."""
    try:
        async for chunk in chunks:
            yield chunk.encode(charset) if isinstance(chunk, str) else bytes(chunk)
    finally:
        await close_async(chunks, chunks)


def discard(stream: Stream) -> None:
    """Close a source that is never going to be started."""
    if stream.producer is not None:
        stream.producer.stop()
    elif not stream.goes_async(prefer=False):
        stream.runner()(stream.close)
    elif not isasyncgen(stream.source):  # one that was never started has nothing to close
        from streamkit._engine.async_pump import AsyncPump
        from streamkit._engine.background import background_loop

        call_threadsafe(running_loop() or background_loop(), lambda: AsyncPump(stream).stop())


async def stop_and_wait(producer: Producer, stream: Stream) -> None:
    """Stop a producer from an event loop, and wait for its source to be closed, where that can be soon."""
    import asyncio

    if producer.over.ended:
        return
    producer.stop()
    if not isinstance(producer, ThreadPump):
        await wait_in_loop(producer.over.when_readable)
    elif not await wait_in_loop(producer.over.when_readable, CLOSE_GRACE, stream.clock):
        producer.watch_cleanup(asyncio.get_running_loop())
