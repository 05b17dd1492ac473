"""Iterate, encode and close a sync source in one daemon thread, inside one Context.

A thread of its own, never one of a shared pool: a source that waits for long holds up nobody else. The thread cannot be
interrupted inside the source's `next`; once its reader has left, it closes the source when that returns, and it never
keeps the process alive.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from streamkit._engine.handoff import call_threadsafe, put_from_thread
from streamkit._engine.hold import Hold
from streamkit._engine.limit import CAP
from streamkit._engine.producer import Producer
from streamkit._engine.register import logger
from streamkit._engine.source import Resumed
from streamkit._engine.stream import Stream
from streamkit._engine.threads import start_thread
from streamkit.errors import PipeClosedError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class ThreadPump(Producer):
    """Runs one sync source for one stream, into a handoff of bytes.

    Raises:
        TooManyStreamsError: As many pump threads run as `set_max_threads` allows.
    """

    def __init__(self, stream: Stream, hold: Hold | None = None) -> None:
        CAP.acquire()
        super().__init__(stream, hold)
        self._index = 0
        try:
            start_thread(lambda: stream.context.run(self._run), "streamkit-pump")
        except BaseException:
            CAP.release()
            raise

    def watch_cleanup(self, loop: AbstractEventLoop) -> None:
        """Have a source that cannot be stopped reported when `cleanup_timeout` has passed, by a timer of `loop`."""
        clock, timeout = self.stream.clock, self.stream.policy.cleanup_timeout
        if not self.over.ended:
            call_threadsafe(loop, lambda: clock.call_later(loop, timeout, self._report_stuck))

    def _report_stuck(self) -> None:
        if not self.over.ended:
            timeout = self.stream.policy.cleanup_timeout
            logger.warning("A thread is still inside %r, %g s after its client left", self.stream.source, timeout)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with self.stream.around.in_thread():
                self._run_source()
        except BaseException as exc:
            error = exc
        CAP.release()
        self.over.end()
        self.handoff.end(error)

    def _run_source(self) -> None:
        items: Iterator[object] | None = None
        try:
            items = iter(self.stream.source)  # type: ignore[arg-type]
            last = self._iterate_to_end(items)
            if last:
                self._put(last)
            self.completed = True
        except BaseException as exc:
            if not self.handoff.closed:
                raise
            if not isinstance(exc, PipeClosedError):
                logger.debug("A stream whose client has left ended with %r", exc)
        finally:
            self.stream.close(items)

    def _iterate_to_end(self, items: Iterator[object]) -> bytes:
        """Pull the source dry; return the frame to send last."""
        try:
            self.in_source = True
            first = self._hold.first(items) if self._hold else []
            self._iterate(items, first)
        except Exception as exc:
            if self.handoff.closed:
                raise
            return self.stream.failed(exc, self._index)
        finally:
            self.in_source = False
        return self.stream.end_frame

    def _iterate(self, items: Iterator[object], first: list[object]) -> None:
        encode, handoff = self.stream.encoder(), self.handoff
        for item in first:
            handoff.put(encode(item))
            self._index += 1
        for item in Resumed(items):
            self.in_source = False
            frame = encode(item)
            self.stream.life.frames = self._index = self._index + 1
            # One that is empty is put only to learn that the reader has left: it would wait without weighing anything.
            if (frame or handoff.closed) and not handoff.put(frame):
                self._put(frame)
            self.in_source = True

    def _put(self, frame: bytes) -> None:
        if not put_from_thread(self.handoff, frame, self.stream.policy.send_timeout, self.stream.clock):
            raise self.reader_is_slow()
