"""The raw app once more, written by hand with streamkit's promises for a token, and nothing that makes a library of it.

No text forges a line; the task that runs the generator closes it; what cancels a task, as the generator's own timeout
does, leaves no send half done; each token puts a keepalive off, and a send that waits for a slow client has a limit of
time; what was sent is counted, and how long a send took at most. One object for each stream, one format, no option.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from types import coroutine as awaitable
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.apps import sources
from tests.rig.asgi import answer_lifespan
from tests.rig.sidedoor import open_side_door

open_side_door()

SSE = sources.of(lambda text: text)
HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}


def frame(text: str) -> bytes:
    """Write a text that has one line; what has more takes another way, as in streamkit."""
    if type(text) is str and "\n" not in text and "\r" not in text and text.isascii():
        return f"data: {text}\n\n".encode()
    raise ValueError(f"not one line: {text!r}")


class Stream:
    """One stream: its client, and what is known of it."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self.sending = self.stopping = False
        self.sent_at = self.slowest = 0.0
        self.frames = self.bytes = 0
        self.limit: asyncio.TimerHandle | None = None

    async def run(self, source: Any) -> None:
        """Send what a generator yields, and close it where it ran."""
        async with aclosing(source):
            await _sending_whole(self._send_all(source), self)

    async def _send_all(self, source: Any) -> None:
        async for text in source:
            chunk, begun = frame(text), time.perf_counter()
            self.sending = True
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            self.sending = False
            if self.stopping:
                raise asyncio.CancelledError
            self.sent_at = time.monotonic()
            if self.limit is not None:
                self.limit.cancel()
                self.limit = None
            self.frames += 1
            self.bytes += len(chunk)
            seconds = time.perf_counter() - begun
            if seconds > self.slowest:  # noqa: PLR1730 - as in streamkit, for each token
                self.slowest = seconds

    def waits(self) -> None:
        """End the stream when its client does not read for long."""
        if self.limit is None:
            task: Any = asyncio.current_task()
            self.limit = asyncio.get_running_loop().call_later(30, task.cancel)


@awaitable
def _sending_whole(running: Any, stream: Stream) -> Any:
    """Run a coroutine; while it sends, wait for what it awaits without letting a cancellation through."""
    step = running.send
    try:
        awaited = step(None)
        while True:
            thrown: BaseException | None = None
            try:
                if stream.sending and awaited is not None:
                    stream.waits()
                    awaited._asyncio_future_blocking = False
                    yield from asyncio.shield(awaited)
                else:
                    yield awaited
            except BaseException as exc:
                thrown = exc
                stream.stopping = stream.stopping or stream.sending
            awaited = step(None) if thrown is None or stream.sending else running.throw(thrown)
    except StopIteration:
        return


async def _serve(source: Any, receive: Any, send: Any) -> None:
    sending = asyncio.create_task(Stream(send).run(source))
    while (await receive())["type"] != "http.disconnect":
        pass
    sending.cancel()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer on plain ASGI."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    count = int(parse_qs(scope["query_string"].decode()).get("n", ["0"])[0])
    await send(HEAD)
    await _serve(SSE[scope["path"].rpartition("/")[2]](count), receive, send)


class _Response(Response):
    """The same as a response of Starlette."""

    def __init__(self, source: Any) -> None:
        super().__init__(media_type="text/event-stream")
        self._source = source

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send(HEAD)
        await _serve(self._source, receive, send)


async def _sse(request: Request) -> Response:
    return _Response(SSE[request.path_params["name"]](int(request.query_params.get("n", 0))))


starlette = Starlette(routes=[Route("/sse/{name}", _sse)])
