"""Wait for the first item in the view, so that an early failure is still an ordinary error response."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from streamkit._engine.handoff import wait_in_loop, wait_in_thread
from streamkit._engine.hold import Hold
from streamkit._engine.producer import Producer
from streamkit._engine.source import Source
from streamkit._engine.stream import PLAIN, Stream, Surroundings
from streamkit._engine.threads import running_loop

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class Primed:
    """A source that runs already and waits at its first item for a response; made by `primed`."""

    def __init__(self, stream: Stream, producer: Producer, hold: Hold, timeout: float, *, awaited: bool) -> None:
        self._stream: Stream | None = stream
        self._producer = producer
        self._hold = hold
        self._timeout = timeout
        self._awaited = awaited

    def __await__(self) -> Generator[Any, None, Primed]:
        self._awaited = True
        try:
            yield from wait_in_loop(self._hold.arrived.when_readable, self._timeout).__await__()
        except BaseException:
            self._producer.stop()
            raise
        self._check()
        return self

    def _wait(self) -> Primed:
        """Wait in this thread."""
        wait_in_thread(self._hold.arrived.when_readable, self._timeout)
        self._check()
        return self

    def _check(self) -> None:
        _ = self._hold.arrived.finished  # raises what the source raised

    def _claim(self) -> Stream:
        """Hand the stream to the one response that will serve it.

        Raises:
            TypeError: `primed` was called in a coroutine and not awaited.
            RuntimeError: A response has it already.
        """
        if not self._awaited:
            raise TypeError("content is primed(…) that was not awaited: did you forget await?")
        if self._stream is None:
            raise RuntimeError("this primed source was given to a response already")
        stream, self._stream = self._stream, None
        stream.producer = self._producer
        return stream

    def __del__(self) -> None:
        if not self._hold.bound.ended:  # also when a response took it and was never served
            self._producer.stop()


Content = Source | Primed


def primed(source: Source, timeout: float = 5.0) -> Primed:
    """Start `source` now and wait for its first item; await the result in a coroutine.

    What the source raises before its first item is raised here, in the view, where it becomes the host's own error
    response: a permission error is still a 403. When `timeout` seconds pass first, the stream goes on as any other.
    A primed source that no response takes is closed.

    Args:
        source: An iterable or async iterable of items.
        timeout: Seconds to wait for the first item.

    Returns:
        The content to give to a response: `EventStreamResponse(primed(rows()))`, or `await primed(rows())` in a
        coroutine.

    Raises:
        TypeError: `source` cannot be streamed.
        TooManyStreamsError: There is no thread left for a sync source.
        Exception: What the source raised.
    """
    return prime(source, timeout, running_loop())


def prime(source: Source, timeout: float, home: AbstractEventLoop | None, around: Surroundings = PLAIN) -> Primed:
    """Start `source` on the loop `home`; without one, on the loop or in a thread that streamkit keeps for sources."""
    from streamkit._engine.background import background_loop
    from streamkit._engine.loop_pump import LoopPump
    from streamkit._engine.thread_pump import ThreadPump

    stream, hold, awaited = Stream(source), Hold(), running_loop() is None
    stream.around = around
    producer: Producer
    if stream.goes_async(prefer=home is not None):
        producer = LoopPump(stream, home or background_loop(), hold)
    else:
        producer = ThreadPump(stream, hold)
    result = Primed(stream, producer, hold, timeout, awaited=awaited)
    return result._wait() if awaited else result
