"""`open_stream`: from a client and a request to an open stream."""

from __future__ import annotations

from contextlib import AsyncExitStack, ExitStack
from types import TracebackType
from typing import Any

from streamkit.testing._clients import ask, ask_async
from streamkit.testing._drive import drive
from streamkit.testing._fake_clock import AsyncFakeClock, FakeClock, clock_of
from streamkit.testing._opened import AsyncOpenStream, OpenStream

TIMEOUT = 5.0
"""Seconds that each wait of a test may take."""


class open_stream:
    """Open a stream on a test client, in `with` or in `async with`.

    Args:
        client: Flask's or werkzeug's test client, Django's Client or AsyncClient, Starlette's or FastAPI's TestClient,
            an httpx client over ASGITransport or WSGITransport, or an app, WSGI or ASGI. An asynchronous client needs
            `async with`.
        method: Of the request.
        url: As the client takes it: a path, with or without a query.
        timeout: Seconds that each wait may take, of the system's time.
        clock: The time of the stream, from `fake_clock`; that of the surrounding `with` unless given.
        request: Whatever else the client's own method of requests takes. `json` and `headers` work for all. An app
            takes, besides, `content`, the bytes of a body.

    The request is the one that the client would have sent, with its cookies, headers and session; cookies of the
    response are kept by the client.

    Raises:
        TypeError: `client` is none of these, or `clock` is not of `fake_clock`.
        ValueError: `timeout` is not above 0.
        StreamTimeoutError: The head of the response did not come in time.
        Exception: What the app raised before the head.
    """

    def __init__(
        self,
        client: Any,
        method: str,
        url: str,
        *,
        timeout: float = TIMEOUT,
        clock: FakeClock | AsyncFakeClock | None = None,
        **request: Any,
    ) -> None:
        if not timeout > 0:
            raise ValueError(f"timeout must be seconds above 0, not {timeout!r}")
        self._asked = client, method.upper(), url, request
        self._timeout, self._clock = timeout, None if clock is None else clock_of(clock)
        self._stack, self._async_stack = ExitStack(), AsyncExitStack()

    def __enter__(self) -> OpenStream:
        asked = ask(*self._asked)
        return self._stack.enter_context(OpenStream(drive(asked, self._clock), self._timeout))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    async def __aenter__(self) -> AsyncOpenStream:
        asked = await ask_async(*self._asked)
        return await self._async_stack.enter_async_context(AsyncOpenStream(drive(asked, self._clock), self._timeout))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._async_stack.__aexit__(kind, error, trace)
