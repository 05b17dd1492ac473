"""The drain of a host that iterates a response by `for` or by `async for`, as its server demands.

Nothing starts before the first bytes are asked for, and how they are asked for decides which pump runs. Bodies may be
stacked: what a middleware of the host has made of one body is the source of the next. Whatever runs that source closes
the inner body with it, in the same place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from streamkit._engine.bodies import AsyncBody, PumpedBody
from streamkit._engine.inline import InlineBody
from streamkit._engine.source import close_async, close_sync
from streamkit._engine.stream import Stream
from streamkit._engine.threads import running_loop
from streamkit._engine.wsgi_body import late_body

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from _typeshed.wsgi import WSGIEnvironment


class TwoWayBody:
    """One stream's bytes for whoever iterates first.

    Args:
        stream: The stream.
        environ: Of the request; None where none is known yet, and then there is no body.
        inner: The body that the source of this one reads.
    """

    def __init__(self, stream: Stream, environ: WSGIEnvironment | None, inner: TwoWayBody | None = None) -> None:
        self.stream = stream
        self.environ = environ
        self._inner = inner
        self._loop: AbstractEventLoop | None = None
        self._sync: InlineBody | PumpedBody | None = None
        self._async: AsyncBody | None = None

    def wrapped(self, chunks: Any, make_bytes: Callable[[object], bytes], *, by_async_for: bool) -> TwoWayBody:
        """Return the body of `chunks`, which most likely read this one."""
        kind = _AsyncChunks if by_async_for else _SyncChunks
        return TwoWayBody(self.stream.wrapped(kind(chunks, make_bytes, self)), self.environ, self)

    def on_loop(self, loop: AbstractEventLoop | None) -> TwoWayBody:
        """Take note of the host's event loop: async sources belong there, whoever reads them."""
        self._loop = loop
        if self._inner is not None:
            self._inner.on_loop(loop)
        return self

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(self._begun())  # begins when it is asked, and then stands aside

    def __next__(self) -> bytes:
        return next(next(self._begun()))

    def _begun(self) -> Iterator[InlineBody | PumpedBody]:
        if self._sync is None:
            if self.environ is None:
                raise RuntimeError("a stream's body is made for the server that asks for it: there is no request yet")
            # A reader that blocks the very loop would wait for itself.
            loop = self._loop if running_loop() is None else None
            self._sync = late_body(self.stream, self.environ, loop)
        yield self._sync
        self.close()  # read to its end: Django's test client closes nothing more

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._awaited())

    def _awaited(self) -> AsyncBody:
        self._async = self._async or AsyncBody(self.stream)
        return self._async

    def stop(self) -> None:
        """Say that the client has left; from any thread, and without waiting."""
        for body in (self._sync, self._async):
            if isinstance(body, PumpedBody | AsyncBody):
                body.stop()
        if self._inner is not None:
            self._inner.stop()  # wakes a thread of ours that waits there

    def close(self) -> None:
        """End the source; from any thread. Returns within half a second also when it cannot be stopped yet."""
        self.stop()
        if self._async is None:
            self._sync = self._sync or InlineBody(self.stream)  # unread, it closes any source
            self._sync.close()

    async def aclose(self) -> None:
        """End the source and wait for its cleanup; for one that a thread is inside of, half a second at most."""
        self.stop()
        if self._sync is None:
            await self._awaited().aclose()


class _Chunks:
    """What a middleware has made of a body, as a source of bytes that closes the body when it is closed."""

    def __init__(self, chunks: Any, make_bytes: Callable[[object], bytes], inner: TwoWayBody) -> None:
        self._chunks = chunks
        self._make_bytes = make_bytes
        self._inner = inner


class _SyncChunks(_Chunks):
    def __iter__(self) -> Iterator[bytes]:
        return map(self._make_bytes, self._chunks)

    def close(self) -> None:
        try:
            close_sync(self._chunks, self._chunks)
        finally:
            self._inner.close()


class _AsyncChunks(_Chunks):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            yield self._make_bytes(chunk)

    async def aclose(self) -> None:
        try:
            await close_async(self._chunks, self._chunks)
        finally:
            await self._inner.aclose()
