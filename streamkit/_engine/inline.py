"""Run a sync source in the server's own thread, item by item, for a WSGI server that iterates it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack

from streamkit._engine.bodies import discard
from streamkit._engine.ending import Meter
from streamkit._engine.stream import Stream
from streamkit.errors import StreamCutError


class InlineBody:
    """Iterates a sync source in the thread that iterates this. Each item leaves before the next is asked for."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._frames = _frames(stream)
        self._meter = Meter(stream)
        self._started = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._started = True
        self._meter.back()
        try:
            return self._meter.gone(next(self._frames))
        except BaseException as exc:
            self._meter.ended(exc)
            raise

    def close(self) -> None:
        """Close the source; called by the server after the last item or when the client has left (PEP 3333)."""
        self._frames.close()
        if not self._started:
            self._started = True
            discard(self._stream)
        self._stream.life.close(self._meter.result)

    def __del__(self) -> None:
        self.close()  # some servers forget to, when the client has left in the wrong moment


def _frames(stream: Stream) -> Generator[bytes, None, None]:
    run, items, index = stream.context.run, None, 0
    encode, missing, life = stream.encoder(), object(), stream.life
    around, error = ExitStack(), None
    try:
        yield b"" if stream.interval is None else stream.format.keepalive  # the head goes out with it
        try:
            run(around.enter_context, stream.around.inline())
            items = run(iter, stream.source)  # type: ignore[arg-type]
            last = stream.end_frame
            while (item := run(next, items, missing)) is not missing:
                frame = run(encode, item)
                index += 1
                if stream.counts:
                    life.frames = index
                if frame:
                    yield frame
                if life.ending and stream.leads and (stream.between_frames or not life.clean):
                    last = stream.last_words()
                    break
        except StreamCutError:
            raise
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
