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
    """Yield a frame for each item, and take note of how long the server has it; all in one, as a call more is felt."""
    items, life, around = None, stream.life, ExitStack()
    counts, leads = int(stream.counts), stream.leads
    plain = stream.measures and stream.boundary is None
    error: Exception | None = None
    try:
        yield b"" if stream.interval is None else stream.format.keepalive  # the head goes out with it
        around.enter_context(stream.around.inline())
        items = iter(stream.source)  # type: ignore[arg-type]
        encode = stream.encoder()
        for item in Resumed(items):
            frame = encode(item)
            life.frames += counts
            if frame:
                begun = perf_counter()
                yield frame
                taken = perf_counter() - begun
                if plain and taken <= life.slowest_flush and not life.lacks_id:
                    life.bytes += len(frame)
                else:
                    meter.took(frame, taken)
            if leads and life.reason is not None and (stream.between_frames or not life.clean or life.overdue):
                last = stream.last_words()
                break
        else:
            last = stream.end_frame
        yield from meter.last(last)
    except Exception as exc:
        error, meter.result = exc, "error"
        last, error = stream.failed(exc, life.frames), None
        yield from meter.last(last)
    finally:
        stream.close(items)
        around.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
