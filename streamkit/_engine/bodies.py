"""Drains that a host iterates: a WSGI server, or a framework that sends for itself.

`InlineBody` runs a sync source in the server's own thread, item by item. The other two read what a pump has made, and
so can send a filler while the source is silent.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterator
from contextlib import ExitStack
from inspect import isasyncgen

from streamkit._engine.handoff import call_threadsafe, take_in_loop, take_in_thread, wait_in_loop, wait_in_thread
from streamkit._engine.producer import Producer
from streamkit._engine.source import close_async
from streamkit._engine.stream import Stream
from streamkit._engine.thread_pump import ThreadPump
from streamkit._engine.threads import running_loop

Chunks = AsyncIterable[str | bytes | memoryview]

CLOSE_GRACE = 0.5
"""Seconds that closing a body waits for the source to be closed, where that can be soon."""


class InlineBody:
    """Iterates a sync source in the thread that iterates this. Each item leaves before the next is asked for."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._frames = _frames(stream)
        self._started = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._started = True
        return next(self._frames)

    def close(self) -> None:
        """Close the source; called by the server after the last item or when the client has left (PEP 3333)."""
        self._frames.close()
        if not self._started:
            self._started = True
            discard(self._stream)

    def __del__(self) -> None:
        self.close()  # some servers forget to, when the client has left in the wrong moment


def _frames(stream: Stream) -> Generator[bytes, None, None]:
    run, items, index = stream.context.run, None, 0
    encode, missing = stream.encoder(), object()
    around, error = ExitStack(), None
    try:
        yield b"" if stream.interval is None else stream.format.keepalive  # the head goes out with it
        try:
            run(around.enter_context, stream.around.inline())
            items = run(iter, stream.source)  # type: ignore[arg-type]
            while (item := run(next, items, missing)) is not missing:
                frame = run(encode, item)
                index += 1
                if frame:
                    yield frame
            last = stream.end_frame
        except Exception as exc:
            error = exc
            last = run(stream.failed, exc, index)
            error = None
        if last:
            yield last
    finally:
        run(_leave, stream, items, around, error)


def _leave(stream: Stream, items: object, around: ExitStack, error: Exception | None) -> None:
    stream.close(items)
    around.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)


class PumpedBody:
    """Gives a WSGI server what a pump has made, waiting in the server's thread."""

    def __init__(self, stream: Stream, producer: Producer) -> None:
        self._stream = stream
        self._producer = producer
        self._opened = False
        self._started = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._opened:
            self._opened = True
            return b""  # servers that write the head with the first item, even an empty one, write it now
        stream = self._stream
        patience = stream.patience(started=self._started)
        taken = take_in_thread(self._producer.handoff, timeout=patience, clock=stream.clock)
        self._started = True
        if taken is None:
            return stream.format.keepalive
        if not taken:
            raise StopIteration
        return b"".join(taken)

    def stop(self) -> None:
        """Say that the client has left; from any thread, and without waiting."""
        self._producer.stop()

    def close(self) -> None:
        """End the source; returns within half a second also when the source cannot be stopped yet."""
        producer, clock = self._producer, self._stream.clock
        if producer.over.ended:
            return
        producer.stop()
        if not producer.in_source:
            wait_in_thread(producer.over.when_readable, CLOSE_GRACE, clock)
        if isinstance(producer, ThreadPump) and not producer.over.ended:
            from streamkit._engine.background import background_loop

            producer.watch_cleanup(background_loop())

    def __del__(self) -> None:
        if not self._producer.over.ended:
            self._producer.stop()


class AsyncBody:
    """Gives a framework that sends for itself what a pump has made, awaiting on its event loop.

    The pump starts at the first `anext`, on the loop that asks.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._producer: Producer | None = None
        self._started = False
        self._closed = False

    def __aiter__(self) -> AsyncBody:
        return self

    async def __anext__(self) -> bytes:
        if self._closed:
            raise StopAsyncIteration
        if self._producer is None:
            from streamkit._engine.loop_pump import start_pump

            self._producer = start_pump(self._stream)
            return b""  # as the head does on ASGI, so that a server that holds it lets it go
        stream = self._stream
        patience = stream.patience(started=self._started)
        try:
            taken = await take_in_loop(self._producer.handoff, timeout=patience, clock=stream.clock)
            self._started = True
            if taken is None:
                return stream.format.keepalive
            if not taken:
                raise StopAsyncIteration
        except BaseException:
            await self.aclose()
            raise
        return b"".join(taken)

    def stop(self) -> None:
        """Say that the client has left; from any thread, and without waiting."""
        if self._producer is not None:
            self._producer.stop()

    async def aclose(self) -> None:
        """End the source and wait for its cleanup; for one that a thread is inside of, half a second at most."""
        closed, self._closed = self._closed, True
        if self._producer is not None:
            await stop_and_wait(self._producer, self._stream)
        elif not closed:
            discard(self._stream)

    def __del__(self) -> None:
        if self._producer is not None and not self._producer.over.ended:
            self._producer.stop()


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
        stream.context.run(stream.close)
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
