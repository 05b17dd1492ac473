"""Run a sync source in the server's own thread, item by item, for a WSGI server that iterates it.

Each item leaves before the next is asked for (PEP 3333, "Buffering and Streaming"): nobody can tell whether the source
has one ready, and an item that waited for a source that blocks would be late by as long as that.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from inspect import GEN_CLOSED, GEN_CREATED, getgeneratorstate
from itertools import chain, repeat
from time import perf_counter

from streamkit._engine.bodies import discard
from streamkit._engine.ending import Meter
from streamkit._engine.source import Resumed
from streamkit._engine.stream import Stream


class InlineBody:
    """Iterates a sync source in the thread that iterates this. Each item leaves before the next is asked for."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.meter = Meter(stream)
        self._frames = _frames(stream, self.meter)
        # Runs all of it where the source is at home, with no function of Python's between the server and the frames.
        self._items: Iterator[bytes] = map(stream.runner(), repeat(next), repeat(self._frames))

    def __iter__(self) -> Iterator[bytes]:
        # It holds this body, which closes the source when nobody does.
        return chain.from_iterable(body._items for body in (self,))

    def __next__(self) -> bytes:
        return next(self._items)

    def close(self) -> None:
        """Close the source; called by the server after the last item or when the client has left (PEP 3333)."""
        state = getgeneratorstate(self._frames)
        if state == GEN_CREATED:
            self._frames.close()
            discard(self._stream)
        elif state != GEN_CLOSED:
            self._stream.runner()(self._frames.close)
        self.meter.close()

    def __del__(self) -> None:
        self.close()  # some servers forget to, when the client has left in the wrong moment


def _frames(stream: Stream, meter: Meter) -> Generator[bytes, None, None]:
    items, life, around = None, stream.life, ExitStack()
    error: Exception | None = None
    try:
        yield b"" if stream.interval is None else stream.format.keepalive  # the head goes out with it
        try:
            around.enter_context(stream.around.inline())
            items = iter(stream.source)  # type: ignore[arg-type]
            ended_early = yield from _measured(stream, items)
            last = stream.last_words() if ended_early else stream.end_frame
        except Exception as exc:
            error, meter.result = exc, "error"
            last = stream.failed(exc, life.frames)
            error = None
        if last:
            yield meter.gone(last)
            meter.back()
        meter.result = "completed"
    finally:
        stream.close(items)
        around.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)


def _measured(stream: Stream, items: Iterator[object]) -> Generator[bytes, None, bool]:
    """Yield a frame for each item, and take note of how long the server has it; tell whether the stream was ended."""
    boundary, encode, life, leads = stream.boundary, stream.encoder(), stream.life, stream.leads
    counts, measures = int(stream.counts), stream.measures
    for item in Resumed(items):
        frame = encode(item)
        life.frames += counts
        if frame:
            begun = perf_counter()
            yield frame
            taken = perf_counter() - begun
            if boundary is not None:
                boundary.feed(frame)
            if measures and (taken > life.slowest_flush or life.lacks_id):
                life.flushed(frame, taken)
            elif measures:  # what is left of `flushed` then, without a call that would be a tenth of all
                life.bytes += len(frame)
        if leads and life.reason is not None and (stream.between_frames or not life.clean or life.overdue):
            return True
    return False
