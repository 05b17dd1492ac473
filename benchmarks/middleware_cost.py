"""What the ASGI middleware costs a request that does not stream: `python -m benchmarks.middleware_cost`.

In process, the processor time per request of a raw app, bare and wrapped, in interleaved rounds; the figure is the
difference of the medians. Then, for information, requests per second of the same app on uvicorn.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import time
from typing import Any

from streamkit.asgi import StreamingMiddleware
from tests.rig.servers import SERVERS, Server
from tests.rig.sidedoor import open_side_door

REQUESTS, ROUNDS = 20_000, 9
SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "method": "GET",
    "path": "/",
    "query_string": b"",
    "headers": [(b"host", b"localhost"), (b"accept", b"text/html,*/*;q=0.8"), (b"accept-encoding", b"gzip, br")],
}
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
BODY = {"type": "http.response.body", "body": b"ok"}


async def raw(scope: Any, receive: Any, send: Any) -> None:
    """Answer any request."""
    if scope["type"] == "http":
        await receive()
        await send(START)
        await send(BODY)


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(_: Any) -> None:
    """Take what comes."""


async def seconds_per_request(app: Any) -> float:
    """Return the processor time of one request."""
    begun = time.process_time()
    for _ in range(REQUESTS):
        await app(SCOPE, _receive, _send)
    return (time.process_time() - begun) / REQUESTS


async def in_process() -> tuple[float, float]:
    """Return the medians for the bare and the wrapped app."""
    apps = (raw, StreamingMiddleware(raw))
    rounds = [[await seconds_per_request(app) for app in apps] for _ in range(ROUNDS)]
    bare, around = zip(*rounds, strict=True)
    return statistics.median(bare), statistics.median(around)


def requests_per_second(*, wrapped: bool, seconds: float = 3.0) -> float:
    """Return how many requests one connection to uvicorn gets answered in a second."""
    environment = {"WRAPPED": str(int(wrapped))}
    with (
        Server(SERVERS["uvicorn-httptools"], "benchmarks.middleware_cost:app", environment=environment) as server,
        socket.create_connection(("127.0.0.1", server.port), 5.0) as connection,
    ):
        count, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            while not received.endswith(b"ok"):
                received += connection.recv(65536)
            count += 1
    return count / seconds


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(name)
    open_side_door()
    return StreamingMiddleware(raw) if os.environ.get("WRAPPED") == "1" else raw


def main() -> None:
    """Measure and print."""
    bare, around = asyncio.run(in_process())
    print(
        f"bare {bare * 1e6:.2f} us, wrapped {around * 1e6:.2f} us: the middleware costs {(around - bare) * 1e6:.2f} us"
    )
    for wrapped in (False, True, False, True):
        print(f"{'wrapped' if wrapped else 'bare':8}{requests_per_second(wrapped=wrapped):8.0f} requests per second")


if __name__ == "__main__":
    main()
