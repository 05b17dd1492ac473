"""The reader for `for`: `_async`, line by line, without `await`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from typing import Any, Self

import httpx

from streamkit.client import _reader


class Reader(_reader.BaseReader[httpx.Client]):
    """The items of a stream, for `with` and `for`; made by `connect_sync`."""

    def __iter__(self) -> Generator[Any, None, None]:
        self._start()
        try:
            while not self._over:
                for item in self._step():
                    is_last = self._is_last(item)
                    yield item
                    if is_last:
                        return
                self._settle()
        finally:
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, and the client unless it is yours; nothing more is read.

        From the thread that reads, or between two items: a thread that waits for bytes is not woken.
        """
        self._over = True
        try:
            self._hang_up()
        finally:
            if self._own is not None:
                self._own.close()

    def _step(self) -> list[Any]:
        """Connect, read a chunk, or wait for the next connection; return the items that this has brought."""
        try:
            if self._open is None:
                return self._connect()
            chunk = next(self._chunks, None)
        except httpx.TransportError as exc:
            return self._end(exc)
        if chunk is not None:
            return self._decoder.feed(chunk)
        return self._decoder.close() or self._end(None)

    def _connect(self) -> list[Any]:
        client = self._client or self._own
        if client is None:
            client = self._own = httpx.Client(timeout=10.0)
        response = client.send(self._request(client), stream=True, auth=self._auth, follow_redirects=True)
        if not self._begin(response):
            raise self._refusal(response, self._body(response))
        self._chunks = response.iter_bytes()
        return []

    def _body(self, response: httpx.Response) -> bytes:
        body, until = b"", time.monotonic() + _reader.BODY_SECONDS
        with contextlib.suppress(httpx.HTTPError):
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) >= _reader.MAX_BODY or time.monotonic() > until:
                    break
        return body

    def _end(self, error: Exception | None) -> list[Any]:
        self._hang_up()
        pause = self._pause(error)
        if pause is not None and self._rules is not None:
            (self._rules.sleep or time.sleep)(pause)
        return []

    def _hang_up(self) -> None:
        response, self._open = self._open, None
        if response is not None:
            response.close()
