"""Whether a stream keeps other requests waiting: `python -m benchmarks.starvation`.

Beside 80 streams of sync generators that sleep, a sync endpoint is asked again and again; its median is compared with
the one it has without them, in turns. And beside one stream of an async generator that never waits, with a reader that
takes all it can, an ordinary request is made.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import threading
from collections.abc import Callable, Iterator

from benchmarks.harness import Report, Settings, alone, rounds
from benchmarks.reading import PIECE, Crowd, answer_time, connect
from benchmarks.serving import APPS, IN_STARLETTE, OURS, running
from tests.rig.servers import Server

COVERS = ("blocked-streams", "spin")

STREAMS = 80
SYNC = (IN_STARLETTE, "Starlette", "sse-starlette", "FastAPI", "Litestar")
"""Quart and Django have a thread for each sync view of their own making, raw ASGI and aiohttp have none."""


def beside_blocked(server: Server, streams: int, requests: int) -> float:
    """Return the median time of a sync endpoint beside so many sync streams."""
    with Crowd(server.port, "/sse/held") as crowd:
        crowd.open(streams)
        crowd.drain(0.3)
        for _ in range(2):  # the first requests start threads
            answer_time(server.port, "/plain")
        return statistics.median(answer_time(server.port, "/plain") for _ in range(requests))


@contextlib.contextmanager
def fast_reader(server: Server) -> Iterator[None]:
    """Have a thread read a stream that never ends and never waits."""
    with connect(server.port, "/sse/spin") as connection:
        connection.recv(PIECE)
        leave = threading.Event()

        def read() -> None:
            buffer = bytearray(PIECE)
            while not leave.is_set() and connection.recv_into(buffer):
                pass

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            yield
        finally:
            leave.set()
            reader.join(10)


def beside_spinning(server: Server, requests: int) -> float:
    """Return the median time of an ordinary request beside a stream that never waits; infinite if unanswered in 2 s."""
    with fast_reader(server):
        times: list[float] = []
        while len(times) < requests and not (times and math.isinf(times[-1])):
            times.append(answer_time(server.port, "/ok"))
        return statistics.median(times) if math.isfinite(times[-1]) else math.inf


def measure(settings: Settings) -> Report:
    """Measure every framework."""
    streams, requests, count = settings.pick(STREAMS, 8), settings.pick(5, 2), settings.pick(3, 1)
    with running(SYNC) as servers:
        cases: dict[str, Callable[[], float]] = {}
        for name, server in servers.items():
            cases[f"{name}/0"] = _blocked(server, 0, requests)
            cases[f"{name}/{streams}"] = _blocked(server, streams, requests)
        blocked = {name: statistics.median(values) for name, values in rounds(cases, count).items()}
    spun: dict[str, float] = {}
    for name in APPS:  # a server of its own each, since one that is frozen stays so
        with running([name]) as servers:
            spun[name] = beside_spinning(servers[name], requests)
    report = Report(
        "Other requests, p50 in ms",
        ["", "sync endpoint alone", f"beside {streams} sync streams", "beside a stream that never waits"],
    )
    for name in APPS:
        pair = [f"{blocked[key] * 1e3:.2f}" if (key := f"{name}/{n}") in blocked else "" for n in (0, streams)]
        report.rows.append([name, *pair, f"{spun[name] * 1e3:.2f}" if math.isfinite(spun[name]) else "over 2,000"])
    report.figures = {
        "blocked-streams": blocked[f"{IN_STARLETTE}/{streams}"] / blocked[f"{IN_STARLETTE}/0"],
        "spin": spun[OURS] * 1e3,
    }
    return report


def _blocked(server: Server, streams: int, requests: int) -> Callable[[], float]:
    return lambda: beside_blocked(server, streams, requests)


if __name__ == "__main__":
    alone(measure, COVERS)
