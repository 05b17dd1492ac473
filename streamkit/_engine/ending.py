"""What the drains that a host iterates have in common: what the host takes is measured, and a stream may end early."""

from __future__ import annotations

from time import perf_counter

from streamkit._engine.life import Reason
from streamkit._engine.producer import Producer
from streamkit._engine.stream import Stream


class Meter:
    """Measures what the host takes: it has taken a chunk when it comes back for the next. `result` is how it ended."""

    result: Reason = "disconnected"

    def __init__(self, stream: Stream) -> None:
        self._life = stream.life if stream.leads else None
        self._boundary = stream.boundary
        self._chunk = b""
        self._gone = 0.0

    def gone(self, chunk: bytes) -> bytes:
        """Hand `chunk` to the host."""
        if self._boundary is not None:
            self._boundary.feed(chunk)
        self._chunk, self._gone = chunk, perf_counter()
        return chunk

    def back(self) -> None:
        """Take note that the host is back."""
        if self._chunk and self._life is not None:
            self._life.flushed(self._chunk, perf_counter() - self._gone)
            self._chunk = b""

    def ended(self, raised: BaseException) -> None:
        """Take note of what is raised to the host, in place of a chunk."""
        if isinstance(raised, StopIteration | StopAsyncIteration):
            self.result = "completed"
        elif isinstance(raised, Exception):
            self.result = "error"


class Ending:
    """The end, before its time, of a stream whose pump fills a handoff."""

    def __init__(self, stream: Stream, producer: Producer) -> None:
        self._stream = stream
        self._producer = producer
        self._rest: list[bytes] | None = None
        stream.life.stoppable_by(self._begin)

    def _begin(self) -> None:
        """Stop the pump; from any thread, and without waiting."""
        if self._stream.leads or not self._stream.life.clean:
            self._rest = [*(self._rest or []), *self._producer.handoff.take()]
            self._producer.stop()

    def last(self) -> list[bytes]:
        """Return what is sent last, once: what was encoded before the end was asked for, and what is said then.

        Raises:
            StreamCutError: The stream ends without a word.
        """
        rest, self._rest = self._rest, None
        if rest is None or self._producer.completed:
            return rest or []
        if self._stream.boundary is not None:
            self._stream.boundary.feed(b"".join(rest))
        return [*rest, self._stream.last_words()]
