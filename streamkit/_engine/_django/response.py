"""A `StreamingHttpResponse` that either handler of Django may read, and any middleware wrap."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any

from django.core.handlers.base import sync_to_async  # type: ignore[attr-defined]
from django.db import close_old_connections
from django.http import StreamingHttpResponse
from django.http.response import ResponseHeaders

from streamkit._engine.source import check_source, is_async, is_sync
from streamkit._engine.stream import Stream
from streamkit._engine.threads import running_loop
from streamkit._engine.twoway import TwoWayBody
from streamkit._headers import SERVERS_OWN

_release_connections = sync_to_async(close_old_connections)

_WRAPPED: ContextVar[object] = ContextVar("streamkit_wrapped")
"""In the Context of what middleware has made of a body: the stream that it wraps."""


class QuietHeaders(ResponseHeaders):
    """Reads as `Content-Encoding: identity` without sending it: middleware that compresses would hold frames back."""

    def __getitem__(self, key: str) -> Any:
        if key.lower() == "content-encoding" and key.lower() not in self._store:
            return "identity"
        return super().__getitem__(key)

    def __setitem__(self, key: str, value: Any) -> None:
        if str(key).lower() not in SERVERS_OWN:
            super().__setitem__(key, value)


class TwoWayResponse(StreamingHttpResponse):
    """A response whose stream, and the `TwoWayBody` of that, are given before `__init__` is called.

    When the body starts, the connections of the view's thread are given back as at the end of a request: CONN_MAX_AGE
    and open transactions hold.
    """

    _stream: Stream
    _body: TwoWayBody
    _gives_connections_back = True

    @property
    def streaming_content(self) -> Any:
        """The bytes for middleware to wrap, by `for` or `async for`; what is assigned is streamed in their place."""
        return self._body

    @streaming_content.setter
    def streaming_content(self, value: Any) -> None:
        if value is self._body:
            return
        if isinstance(value, list | tuple):
            value = _each(value) if self.is_async else value  # nobody has to wait for these: it takes no thread
        self.is_async: bool = is_async(check_source(value)) and (self.is_async or not is_sync(value))
        self._body = self._body.wrapped(value, self.make_bytes, by_async_for=self.is_async)
        self._body.stream.context.run(_WRAPPED.set, self._stream)

    def _replace_content(self, chunks: list[bytes]) -> None:
        """Stream these in place of a source that is never going to be started, and close that."""
        self._body.close()
        self._stream.life.retire()
        self.streaming_content = chunks

    def __iter__(self) -> Iterator[bytes]:
        if self._gives_connections_back:
            close_old_connections()
        return iter(self._body)

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        async with aclosing(self._body.on_loop(running_loop())) as body:
            if self._gives_connections_back:
                await _release_connections()
            async for chunk in body:
                yield chunk

    def close(self) -> None:
        """End the source, then tell Django that the request is over.

        Called from inside what wraps the body (Django's test clients put a generator there that closes the response
        at its end), it leaves the body alone: that ends with what wraps it.
        """
        try:
            if _WRAPPED.get(None) is not self._stream:
                self._body.close()
        finally:
            super().close()


async def _each(chunks: Iterable[object]) -> AsyncGenerator[object]:
    for chunk in chunks:
        yield chunk
