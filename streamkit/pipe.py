"""Push instead of yield: a bounded pipe from code that calls back to a stream that is iterated.

The producing side puts items in, from a thread or from a coroutine, and waits while the pipe is full. The reading side
is given to a response as its content. When the client leaves, whoever waits in `put` is woken with `PipeClosedError`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from streamkit._engine.handoff import Handoff, put_from_loop, put_from_thread, take_in_loop, take_in_thread
from streamkit._engine.policy import check_int
from streamkit._engine.threads import running_loop


class Pipe:
    """Items on their way from callbacks to one stream.

        pipe = Pipe()
        start_job(on_progress=pipe.put, on_done=pipe.close)
        return EventStreamResponse(pipe)

    A job that fails must close it too, or the stream goes on without an end. `with` does: the end of the block closes
    the pipe, and where the block raises, with that error.

        with pipe:
            job(on_progress=pipe.put)

    Args:
        maxsize: How many items may wait for the client before the producer does.

    Raises:
        ValueError: `maxsize` is not an int of at least 1.
    """

    def __init__(self, maxsize: int = 100) -> None:
        check_int("Pipe.maxsize", maxsize)
        self._handoff: Handoff[object] = Handoff(maxsize)
        self._read = False

    @property
    def closed(self) -> bool:
        """Whether nothing more can be put: the pipe was closed, or the client has left."""
        return self._handoff.closed or self._handoff.ended

    def put(self, item: object) -> None:
        """Append an item, waiting in this thread while the pipe is full.

        Raises:
            PipeClosedError: The client has left, or the pipe was closed: stop producing.
            RuntimeError: The pipe is full and this is the thread of an event loop, which must not wait; use `aput`.
        """
        if not self._handoff.put(item):
            if running_loop() is not None:
                raise RuntimeError("the pipe is full, and to wait would block the event loop: await pipe.aput(item)")
            put_from_thread(self._handoff, item)

    async def aput(self, item: object) -> None:
        """Append an item, awaiting room while the pipe is full.

        Raises:
            PipeClosedError: The client has left, or the pipe was closed: stop producing.
        """
        await put_from_loop(self._handoff, item)

    def close(self, error: BaseException | None = None) -> None:
        """Say that nothing more will come; what was put before is still sent. Later calls change nothing.

        Args:
            error: Makes the stream fail with it instead of ending, so that no client takes half for the whole.
        """
        self._handoff.end(error)

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close(error)

    def __iter__(self) -> Iterator[object]:
        self._claim()
        return self._items()

    def __aiter__(self) -> AsyncIterator[object]:
        self._claim()
        return self._aitems()

    def _claim(self) -> None:
        if self._read:
            raise RuntimeError("a Pipe is read once: make one for each stream")
        self._read = True

    def _items(self) -> Iterator[object]:
        try:
            while taken := take_in_thread(self._handoff, 1):
                yield taken[0]
        finally:
            self._handoff.close()

    async def _aitems(self) -> AsyncIterator[object]:
        try:
            while taken := await take_in_loop(self._handoff, 1):
                yield taken[0]
        finally:
            self._handoff.close()
