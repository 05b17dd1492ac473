"""Frames that carry their number and the time they left, each sent when the test allows it; for ASGI and for WSGI.

A client on the same machine compares the time with its own clock: both are `time.monotonic()`. The path names the
format, the query what an `Order` holds. Any other path answers 204, for whoever asks whether the way here is open.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import streamkit.asgi
import streamkit.wsgi
from streamkit import EventStream, StreamPolicy
from tests.rig.asgi import answer_lifespan
from tests.rig.recorder import recorder
from tests.rig.sidedoor import open_side_door

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_POLL = 0.005
RESPONSES = {"/sse": "EventStreamResponse", "/ndjson": "NDJSONResponse"}

open_side_door()


@dataclass(frozen=True)
class Order:
    """What is to be streamed.

    Args:
        frames: how many, each of `size` bytes and a few more.
        keepalive: seconds, or None for a stream that is silent between its frames.
        fails: the source raises after the last frame.
        bare: without the headers by which streamkit speaks to proxies.
        nonce: makes one URL of many, for caches.
    """

    frames: int = 8
    size: int = 30
    keepalive: float | None = None
    fails: bool = False
    bare: bool = False
    nonce: int = 0

    @classmethod
    def of(cls, query: str) -> Order:
        """Read a query string."""
        return cls(**{name: json.loads(value) for name, value in parse_qsl(query)})

    def frame(self, number: int) -> dict[str, Any]:
        """Make a frame that leaves now."""
        return {"number": number, "emitted": time.monotonic(), "filler": "x" * self.size}

    def response(self, module: Any, path: str, content: object) -> Any:
        """Make the response of `streamkit.asgi` or `streamkit.wsgi`."""
        options: dict[str, Any] = {"policy": StreamPolicy(keepalive=self.keepalive, grace=0.1)}
        if path == "/sse":
            options["format"] = EventStream(json=True)
        return getattr(module, RESPONSES[path])(content, **options)

    def kept(self, headers: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        """Return the headers without those that a bare response lacks."""
        ours = {"cache-control", "x-accel-buffering"} if self.bare else set()
        return [(name, value) for name, value in headers if _text(name).lower() not in ours]


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def stamped(order: Order) -> Iterator[dict[str, Any]]:
    """Yield what was ordered, each frame when the test allows it."""
    with recorder.recording("stamped") as record:
        for number in range(order.frames):
            while record.pulled >= record.allowed:
                time.sleep(_POLL)
            yield record.pull(order.frame(number))
        if order.fails:
            raise RuntimeError("planned failure")


async def stamped_async(order: Order) -> AsyncIterator[dict[str, Any]]:
    """Yield what was ordered, each frame when the test allows it."""
    async with recorder.recording("stamped") as record:
        for number in range(order.frames):
            # Asked again and again, because the side door is in a thread of its own.
            while record.pulled >= record.allowed:  # noqa: ASYNC110
                await asyncio.sleep(_POLL)
            yield record.pull(order.frame(number))
        if order.fails:
            raise RuntimeError("planned failure")


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Answer an ASGI server."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
    elif scope["path"] not in RESPONSES:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    else:
        order = Order.of(scope["query_string"].decode())

        async def send_kept(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": order.kept(message["headers"])}
            await send(message)

        await order.response(streamkit.asgi, scope["path"], stamped_async(order))(scope, receive, send_kept)


def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a WSGI server."""
    if environ["PATH_INFO"] not in RESPONSES:
        start_response("204 No Content", [])
        return []
    order = Order.of(environ["QUERY_STRING"])

    def start_kept(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
        return start_response(status, order.kept(headers), *error)

    response = order.response(streamkit.wsgi, environ["PATH_INFO"], stamped(order))
    body: Iterable[bytes] = response(environ, start_kept)
    return body
