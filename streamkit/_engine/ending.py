"""What the drains that a host iterates have in common: what the host takes is measured, and a stream may end early."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

from streamkit._engine.life import Reason
from streamkit._engine.producer import Producer
from streamkit._engine.stream import Stream


class Meter:
    """Measures what the host takes: it has taken a chunk when it comes back for the next.

    Attributes:
        opened: Whether the drain has opened the stream's life, and so is the one that closes it.
        result: How the drain ended.
    """

    opened = False
    result: Reason = "disconnected"

    def __init__(self, stream: Stream) -> None:
        self._life = stream.life
        self._measures = stream.measures
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
        if self._chunk and self._measures:
            self._life.flushed(self._chunk, perf_counter() - self._gone)
            self._chunk = b""

    def took(self, chunk: bytes, seconds: float) -> None:
        """Take note that the host has taken `chunk`, and how long that was."""
        if self._boundary is not None:
            self._boundary.feed(chunk)
        if self._measures:
            self._life.flushed(chunk, seconds)

    def last(self, chunk: bytes) -> Iterator[bytes]:
        """Hand the last chunk to the host, where there is one; the stream is complete when it has been taken."""
        if chunk:
            yield self.gone(chunk)
            self.back()
        self.result = "completed"

    def ended(self, raised: BaseException) -> None:
        """Take note of what is raised to the host, in place of a chunk."""
        if isinstance(raised, StopIteration | StopAsyncIteration):
            self.result = "completed"
        elif isinstance(raised, Exception):
            self.result = "error"

    def close(self) -> None:
        """Close the life, unless a drain around this one does."""
        if self.opened:
            self._life.close(self.result)


class Ending:
    """The end, before its time, of a stream whose pump fills a handoff."""

    def __init__(self, stream: Stream, producer: Producer) -> None:
        self._stream = stream
        self._producer = producer
        self._asked = False
        stream.life.stoppable_by(self._begin)

    def _begin(self) -> None:
        """Stop the pump; from any thread, and without waiting."""
        if not self._stream.life.clean:
            self._asked = True
            self._producer.stop()
        elif self._stream.leads:
            self._asked = True  # before the reader wakes
            self._producer.stop_after_these()

    def last(self) -> bytes:
        """Return what is said after everything that was encoded: nothing at the second call.

        Raises:
            StreamCutError: The stream ends without a word.
        """
        asked, self._asked = self._asked, False
        return self._stream.last_words() if asked and not self._producer.completed else b""
