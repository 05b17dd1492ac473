"""The reader for `async for`. `_sync` is its twin, line by line."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Any, Self

import httpx

from streamkit.client import _reader


class AsyncReader(_reader.BaseReader[httpx.AsyncClient]):
    """The items of a stream, for `async with` and `async for`; made by `connect`."""

    async def __aiter__(self) -> AsyncGenerator[Any, None]:
        self._start()
        try:
            while not self._over:
                for item in await self._step():
                    is_last = self._is_last(item)
                    yield item
                    if is_last:
                        return
                self._settle()
        finally:
            await self.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection, and the client unless it is yours; nothing more is read.

        A loop of another task that is waiting then ends, as at the end of the stream.
        """
        self._over = True
        try:
            await self._hang_up()
        finally:
            if self._own is not None:
                await self._own.aclose()

    async def _step(self) -> list[Any]:
        """Connect, read a chunk, or wait for the next connection; return the items that this has brought."""
        try:
            if self._open is None:
                return await self._connect()
            chunk = await anext(self._chunks, None)
        except httpx.TransportError as exc:
            return await self._end(exc)
        if chunk is not None:
            return self._decoder.feed(chunk)
        return self._decoder.close() or await self._end(None)

    async def _connect(self) -> list[Any]:
        client = self._client or self._own
        if client is None:
            client = self._own = httpx.AsyncClient(timeout=10.0)
        response = await client.send(self._request(client), stream=True, auth=self._auth, follow_redirects=True)
        if not self._begin(response):
            raise self._refusal(response, await self._body(response))
        self._chunks = response.aiter_bytes()
        return []

    async def _body(self, response: httpx.Response) -> bytes:
        body, until = b"", time.monotonic() + _reader.BODY_SECONDS
        with contextlib.suppress(httpx.HTTPError):
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) >= _reader.MAX_BODY or time.monotonic() > until:
                    break
        return body

    async def _end(self, error: Exception | None) -> list[Any]:
        await self._hang_up()
        pause = self._pause(error)
        if pause is not None and self._rules is not None:
            await (self._rules.sleep or asyncio.sleep)(pause)
        return []

    async def _hang_up(self) -> None:
        response, self._open = self._open, None
        if response is not None:
            await response.aclose()
