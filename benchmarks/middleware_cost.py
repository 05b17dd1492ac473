"""What the ASGI middleware costs a request that does not stream: `python -m benchmarks.middleware_cost`.

In process, the processor time per request of a raw app, bare and wrapped, in interleaved rounds; the figure is the
difference of the medians. Then, for information, requests per second of the same app on uvicorn.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.harness import Report, Settings, alone, medians, rounds
from streamkit.asgi import StreamingMiddleware
from tests.rig.servers import SERVERS, Server
from tests.rig.sidedoor import open_side_door

COVERS = ("middleware",)
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


async def _seconds_per_request(app: Any, requests: int) -> float:
    begun = time.process_time()
    for _ in range(requests):
        await app(SCOPE, _receive, _send)
    return (time.process_time() - begun) / requests


def requests_per_second(*, wrapped: bool, seconds: float) -> float:
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


def measure(settings: Settings) -> Report:
    """Measure in process, and then over uvicorn."""
    requests, count, seconds = settings.pick(20_000, 500), settings.pick(15, 2), settings.pick(3.0, 0.2)
    apps = {"bare": raw, "wrapped": StreamingMiddleware(raw)}

    def case(app: Any) -> Callable[[], float]:
        return lambda: asyncio.run(_seconds_per_request(app, requests))

    taken = medians(rounds({name: case(app) for name, app in apps.items()}, count))
    rates = medians(
        rounds(
            {name: partial(requests_per_second, wrapped=name == "wrapped", seconds=seconds) for name in apps},
            settings.pick(3, 1),
        )
    )
    report = Report("A request that does not stream", ["", "processor us", "requests/s on uvicorn, one connection"])
    report.rows = [[name, f"{taken[name] * 1e6:.2f}", f"{rates[name]:,.0f}"] for name in apps]
    report.figures = {"middleware": (taken["wrapped"] - taken["bare"]) * 1e6}
    return report


if __name__ == "__main__":
    alone(measure, COVERS)
