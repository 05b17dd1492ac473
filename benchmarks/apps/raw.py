"""The floor: an ASGI app that sends bytes which are ready, one message an event, and does nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

from benchmarks.apps import burst_by_hand, sources
from tests.rig.asgi import answer_lifespan
from tests.rig.sidedoor import open_side_door

open_side_door()

SSE = sources.of(lambda text: f"data: {text}\n\n".encode())
LINES = sources.of(lambda text: json.dumps({"id": 17, "delta": text, "done": False}).encode() + b"\n")
LINES |= burst_by_hand.LINES

idle: set[Any] = set()
listeners: set[asyncio.Queue[bytes]] = set()
tasks: list[asyncio.Task[None]] = []


async def _keep_alive() -> None:
    """Be the one timer that all idle connections share."""
    while True:
        await asyncio.sleep(sources.KEEPALIVE)
        for send in list(idle):
            await send({"type": "http.response.body", "body": b":\n", "more_body": True})


async def _stream(source: Any, receive: Any, send: Any) -> None:
    """Send until the source or the client ends: what is not cancelled would run on, and cost, for ever."""
    sending = asyncio.create_task(_send_all(source, send))
    await _left(receive)
    sending.cancel()


async def _send_all(source: Any, send: Any) -> None:
    async for frame in source:
        await send({"type": "http.response.body", "body": frame, "more_body": True})
    await send({"type": "http.response.body"})


async def _left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _idle(receive: Any, send: Any) -> None:
    if not tasks:
        tasks.append(asyncio.create_task(_keep_alive()))
    await send({"type": "http.response.body", "body": b"data: hello~\n\n", "more_body": True})
    idle.add(send)
    await _left(receive)
    idle.discard(send)


async def _fan_out(send: Any) -> None:
    """Send frames that are encoded once for all."""
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    listeners.add(queue)
    try:
        await send({"type": "http.response.body", "body": b"data: hello~\n\n", "more_body": True})
        while True:
            await send({"type": "http.response.body", "body": await queue.get(), "more_body": True})
    finally:
        listeners.discard(queue)


async def _one_body(count: int, send: Any) -> None:
    """Send as many events as a burst has, as one body: what the reader can take at most."""
    await send({"type": "http.response.body", "body": b"data: hello~\n\n" * count})


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer by the path."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    kind, _, name = scope["path"][1:].partition("/")
    count = int(parse_qs(scope["query_string"].decode()).get("n", ["0"])[0])
    streams = kind in {"sse", "lines"}
    headers = [(b"content-type", b"text/event-stream")] if streams else [(b"content-length", b"2")]
    if kind == "body":
        headers = [(b"content-length", str(14 * count).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if kind == "body":
        await _one_body(count, send)
    elif name == "idle":
        await _idle(receive, send)
    elif name == "fan_out":
        await _fan_out(send)
    elif streams:
        await _stream((SSE if kind == "sse" else LINES)[name](count), receive, send)
    else:
        if kind == "publish":
            for queue in listeners:
                queue.put_nowait(b"data: %d~\n\n" % count)
        await send({"type": "http.response.body", "body": b"ok"})
