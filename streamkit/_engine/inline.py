"""Run a sync source in the server's own thread, item by item, for a WSGI server that iterates it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from time import perf_counter

from streamkit._engine.bodies import discard
from streamkit._engine.ending import Meter
from streamkit._engine.stream import Stream
from streamkit.errors import StreamCutError


class InlineBody:
    """Iterates a sync source in the thread that iterates this. Each item leaves before the next is asked for."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.meter = Meter(stream)
        self._frames = _frames(stream, self.meter)
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
        self.meter.close()

    def __del__(self) -> None:
        self.close()  # some servers forget to, when the client has left in the wrong moment


def _frames(stream: Stream, meter: Meter) -> Generator[bytes, None, None]:
    run, items, life, around = stream.runner(), None, stream.life, ExitStack()
    error: Exception | None = None
    try:
        yield b"" if stream.interval is None else stream.format.keepalive  # the head goes out with it
        try:
            run(around.enter_context, stream.around.inline())
            items = run(iter, stream.source)
            ended_early = yield from _measured(stream, items)
            last = stream.last_words() if ended_early else stream.end_frame
        except Exception as exc:
            error, meter.result = exc, "error"
            if isinstance(exc, StreamCutError):
                life.reason = life.reason or "slow_client"  # said by the source, as in `failed`
                raise
            last = run(stream.failed, exc, life.frames)
            error = None
        if last:
            begun = perf_counter()
            yield last
            if stream.measures:
                life.flushed(last, perf_counter() - begun)
        meter.result = "completed"
    finally:
        run(_leave, stream, items, around, error)


def _measured(stream: Stream, items: Iterator[object]) -> Generator[bytes, None, bool]:
    """Yield a frame for each item, and take note of how long the server has it; tell whether the stream was ended."""
    boundary = stream.boundary
    run, encode, missing, life, leads = stream.runner(), stream.encoder(), object(), stream.life, stream.leads
    counts, measures = int(stream.counts), stream.measures
    while (item := run(next, items, missing)) is not missing:
        frame = run(encode, item)
        life.frames += counts
        if frame:
            begun = perf_counter()
            yield frame
            if boundary is not None:
                boundary.feed(frame)
            if measures:
                life.flushed(frame, perf_counter() - begun)
        if leads and life.reason is not None and (stream.between_frames or not life.clean or life.overdue):
            return True
    return False


def _leave(stream: Stream, items: object, around: ExitStack, error: Exception | None) -> None:
    stream.close(items)
    around.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
