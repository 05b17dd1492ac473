"""A fan-out written by hand for this one benchmark, which keeps one promise of streamkit's after the other.

Each app keeps those of the apps before it. `resumable` cuts off a client for whom too much waits, gives each event an
id, and keeps the latest events and where each client stands. `counted` cuts off one that does not take its event, sends
a keepalive to one that had none for long, both by one timer for all, and counts. `sourced` has its events from an async
generator, which a task of its own runs and closes, while another waits for the client to leave.

`channel` sends by hand what streamkit's channel gives, without a response of streamkit's around it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from benchmarks.apps import sources
from streamkit import EventStream
from streamkit.channels import Channels, MemoryLog
from tests.rig.asgi import answer_lifespan
from tests.rig.sidedoor import open_side_door

open_side_door()

App = Callable[[Any, Any, Any], Awaitable[None]]

RESUMABLE, COUNTED, SOURCED = range(3)
BUFFER, DEADLINE, KEPT = 256 * 1024, 30.0, 10_000

log: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
timers: list[asyncio.Task[None]] = []


class Client:
    """One client: what waits for it, and what is known of it."""

    __slots__ = ("bytes", "frames", "position", "send", "sending", "sent_at", "size", "task", "waiter", "waiting")

    def __init__(self, send: Any) -> None:
        self.send = send
        self.task: asyncio.Task[None] | None = None
        self.waiting: deque[tuple[int, bytes]] = deque()
        self.waiter: asyncio.Future[None] | None = None
        self.size = self.position = self.frames = self.bytes = 0
        self.sending, self.sent_at = False, time.monotonic()

    def put(self, number: int, frame: bytes) -> None:
        """Have an event sent, or cut off a client that is too slow."""
        self.size += len(frame)
        if self.size > BUFFER:
            self.cut()
            return
        self.waiting.append((number, frame))
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def cut(self) -> None:
        """End the stream."""
        if self.task is not None:
            self.task.cancel()

    async def next(self) -> tuple[int, bytes]:
        """Return what is sent next."""
        if not self.waiting:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        number, frame = self.waiting.popleft()
        self.size -= len(frame)
        return number, frame

    async def events(self) -> AsyncGenerator[tuple[int, bytes], None]:
        """Yield what is sent."""
        while True:
            yield await self.next()

    async def stream(self, keeps: int) -> None:
        """Send what is put."""
        self.task = asyncio.current_task()
        if keeps >= SOURCED:
            async with contextlib.aclosing(self.events()) as events:
                async for number, frame in events:
                    await self.deliver(number, frame, keeps)
        while True:
            number, frame = await self.next()
            await self.deliver(number, frame, keeps)

    async def deliver(self, number: int, frame: bytes, keeps: int) -> None:
        """Send one event, and take note of what is promised of it."""
        if keeps >= COUNTED:
            self.sending, self.sent_at = True, time.monotonic()
        await self.send({"type": "http.response.body", "body": frame, "more_body": True})
        self.position = number
        if keeps >= COUNTED:
            self.sending, self.sent_at = False, time.monotonic()
            self.frames += 1
            self.bytes += len(frame)


clients: set[Client] = set()


async def _look_after() -> None:
    """Be the one timer: cut off who takes too long, and put a filler to who was silent for long."""
    while True:
        await asyncio.sleep(1)
        now = time.monotonic()
        for client in list(clients):
            if client.sending and now - client.sent_at > DEADLINE:
                client.cut()
            elif not client.sending and now - client.sent_at > sources.KEEPALIVE:
                client.put(client.position, b":\n")


async def _publish(number: int) -> None:
    frame = b"id: %d\ndata: %d~\n\n" % (number, number)
    log.append((number, frame))
    for client in clients:
        client.put(number, frame)


async def _serve(receive: Any, send: Any, keeps: int) -> None:
    if keeps >= COUNTED and not timers:
        timers.append(asyncio.create_task(_look_after()))
    client = Client(send)
    clients.add(client)
    try:
        client.put(0, b"data: hello~\n\n")
        if keeps < SOURCED:
            await client.stream(keeps)
        streaming = asyncio.create_task(client.stream(keeps))
        while (await receive())["type"] != "http.disconnect":
            pass
        streaming.cancel()
    finally:
        clients.discard(client)


def _app(serve: Callable[[Any, Any], Awaitable[None]], publish: Callable[[int], Awaitable[object]]) -> App:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
            return
        streams = scope["path"] == "/sse/fan_out"
        headers = [(b"content-type", b"text/event-stream")] if streams else [(b"content-length", b"2")]
        if not streams:
            await publish(int(parse_qs(scope["query_string"].decode())["n"][0]))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if streams:
            await serve(receive, send)
        else:
            await send({"type": "http.response.body", "body": b"ok"})

    return app


channels, FORMAT = Channels(MemoryLog(max_bytes=2**20)), EventStream()


async def _serve_channel(receive: Any, send: Any) -> None:
    async for event in channels.subscribe("a"):
        await send({"type": "http.response.body", "body": FORMAT.encode(event), "more_body": True})


resumable = _app(lambda receive, send: _serve(receive, send, RESUMABLE), _publish)
counted = _app(lambda receive, send: _serve(receive, send, COUNTED), _publish)
sourced = _app(lambda receive, send: _serve(receive, send, SOURCED), _publish)
channel = _app(_serve_channel, lambda number: channels.publish("a", f"{number}~"))
