"""A sync source as an async one: iterated and closed in a daemon thread of its own, one item ahead of its reader."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

from streamkit._engine.background import on_background_loop
from streamkit._engine.limit import CAP
from streamkit._engine.register import logger
from streamkit._engine.source import Resumed, as_error
from streamkit._engine.stream import Stream
from streamkit._engine.threads import start_native_thread, start_thread
from streamkit.errors import PipeClosedError
from streamkit.pipe import Pipe


class Threaded:
    """Runs one sync source; when its reader has left, it is closed as soon as its `next` returns.

    Raises:
        TooManyStreamsError: As many threads run as `set_max_threads` allows.
    """

    def __init__(self, stream: Stream) -> None:
        CAP.acquire()
        self._stream = stream
        self._pipe = Pipe(1)

    def start(self) -> None:
        """Start the thread; under gevent a greenlet beside the caller's, unless that runs streamkit's own loop."""
        start = start_native_thread if on_background_loop() else start_thread
        try:
            start(lambda: self._stream.context.run(self._run), "streamkit-detached")
        except BaseException as exc:
            CAP.release()
            self._stream.close()
            self._pipe.close(as_error(exc))

    def forget(self) -> None:
        """Do without the thread."""
        CAP.release()

    def __aiter__(self) -> AsyncIterator[object]:
        return aiter(self._pipe)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with self._stream.around.in_thread():
                self._iterate()
        except BaseException as exc:
            if self._pipe.closed:
                logger.debug("The source %r was ended, and raised %r", self._stream.source, exc)
            error = as_error(exc)
        finally:
            CAP.release()
            self._pipe.close(error)

    def _iterate(self) -> None:
        items = None
        try:
            items = iter(self._stream.source)  # type: ignore[arg-type]
            for item in Resumed(items):
                self._pipe.put(item)
        except PipeClosedError:
            if not self._pipe.closed:
                raise  # it is of another pipe, which the source reads
        finally:
            self._stream.close(items)


def async_source(stream: Stream, *, prefer_async: bool) -> AsyncIterator[object] | Threaded:
    """Return what to iterate with `async for`; `prefer_async` decides for a source that can be iterated both ways."""
    if stream.goes_async(prefer=prefer_async):
        return cast("AsyncIterator[object]", stream.source)
    return Threaded(stream)
