"""The servers that are measured: which app runs on which, and what a process has used."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

import psutil

from tests.rig.servers import SERVERS, Server, ServerKind

UVICORN, SYNC, THREADS = SERVERS["uvicorn-httptools"], SERVERS["gunicorn-sync"], SERVERS["gunicorn-gthread"]
AIOHTTP = ServerKind("aiohttp", "asgi", "benchmarks.apps.aiohttp_app {port}", ("aiohttp",))

RAW, OURS, STARLETTE, IN_STARLETTE = "raw ASGI", "streamkit", "Starlette", "streamkit in Starlette"
"""streamkit is compared with the raw app on plain ASGI, and in Starlette with Starlette: like with like."""

APPS = {
    RAW: (UVICORN, "benchmarks.apps.raw:app"),
    OURS: (UVICORN, "benchmarks.apps.ours:app"),
    IN_STARLETTE: (UVICORN, "benchmarks.apps.ours_starlette:app"),
    STARLETTE: (UVICORN, "benchmarks.apps.starlette_app:app"),
    "sse-starlette": (UVICORN, "benchmarks.apps.sse_starlette_app:app"),
    "FastAPI": (UVICORN, "benchmarks.apps.fastapi_app:app"),
    "Litestar": (UVICORN, "benchmarks.apps.litestar_app:app"),
    "Quart": (UVICORN, "benchmarks.apps.quart_app:app"),
    "Django": (UVICORN, "benchmarks.apps.django_app:app"),
    "aiohttp-sse": (AIOHTTP, ""),
}
PROMISES_BY_HAND = {
    "by hand: promises kept": (UVICORN, "benchmarks.apps.kept_by_hand:app"),
    "by hand, in Starlette": (UVICORN, "benchmarks.apps.kept_by_hand:starlette"),
}
WSGI_APPS = {
    "raw WSGI": (SYNC, "benchmarks.apps.wsgi_raw:app"),
    "Flask": (SYNC, "benchmarks.apps.flask_app:app"),
    "Django": (SYNC, "benchmarks.apps.django_app:wsgi"),
    "raw WSGI, threads": (THREADS, "benchmarks.apps.wsgi_raw:app"),
    "Flask, threads": (THREADS, "benchmarks.apps.flask_app:app"),
}

Running = dict[str, Server]


@contextlib.contextmanager
def running(
    names: Sequence[str], apps: dict[str, tuple[ServerKind, str]] | None = None, keepalive: float = 15.0
) -> Iterator[Running]:
    """Serve the apps of these names, each by one worker, for as long as the context lasts."""
    known, environment = apps or APPS, {"BENCH_KEEPALIVE": str(keepalive)}
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(Server(*known[name], environment=environment)) for name in names}


def cpu(server: Server) -> float:
    """Return the processor seconds that the server's process has used, of all its threads.

    Exact while the process waits; while it runs, the kernel brings the figure up to date every few ms.
    """
    # The clock of another process (clock_getcpuclockid(3)): in ns, where /proc counts ticks of 10 ms.
    return time.clock_gettime((~server.pid << 3) | 2)


def settled_cpu(server: Server) -> float:
    """Return the same once the process has had time to finish and wait."""
    time.sleep(0.02)
    return cpu(server)


def memory(server: Server) -> int:
    """Return the bytes that the server's process has in memory."""
    return int(psutil.Process(server.pid).memory_info().rss)
