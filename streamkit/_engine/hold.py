"""Keep a pump at its first item until a response has been built for it.

`primed` starts the pump in the view; the format, and who takes the bytes, are known only afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from itertools import islice

from streamkit._engine.handoff import Handoff, wait_in_loop, wait_in_thread
from streamkit._engine.source import Resumed
from streamkit.errors import InBandError, PipeClosedError


class Hold:
    """Two signals between the view and the pump.

    `arrived` ends when the source has given its first item, has ended or has failed; with its error, if it failed.
    `bound` ends when a response has taken the stream over; it is closed when none ever will.
    """

    def __init__(self) -> None:
        self.arrived: Handoff[None] = Handoff(1)
        self.bound: Handoff[None] = Handoff(1)

    def first(self, items: Iterator[object]) -> list[object]:
        """Return the source's first item, if it has one, once a response is there; in the pump's thread."""
        with self._arrival():
            first = list(islice(Resumed(items), 1))
        wait_in_thread(self.bound.when_readable)
        return self._bound(first)

    async def first_async(self, items: AsyncIterator[object]) -> list[object]:
        """Return the source's first item, if it has one, once a response is there; in the pump's task."""
        first: list[object] = []
        with self._arrival(), suppress(StopAsyncIteration):
            first.append(await anext(items))
        await wait_in_loop(self.bound.when_readable)
        return self._bound(first)

    @contextmanager
    def _arrival(self) -> Iterator[None]:
        error: Exception | None = None
        try:
            yield
        except Exception as exc:
            error = exc.error if isinstance(exc, InBandError) else exc  # nothing was sent: the view may answer
        finally:
            self.arrived.end(error)
        if error is not None:
            raise error

    def _bound(self, first: list[object]) -> list[object]:
        if self.bound.closed:
            raise PipeClosedError("no response was built for this stream")
        return first
