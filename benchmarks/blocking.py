"""An async generator that blocks the event loop for 50 ms before each item: `python -m benchmarks.blocking`.

What it yields must leave before it is resumed, or it is 50 ms late. An item carries the moment at which it was yielded.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from benchmarks.harness import Report, Settings, alone, rounds
from benchmarks.reading import connect, lateness
from benchmarks.serving import APPS, OURS, running
from tests.rig.servers import Server

COVERS = ("blocking-late",)


def one_round(server: Server, items: int) -> float:
    """Return the median lateness of one stream, in seconds."""
    late: list[float] = []
    with connect(server.port, f"/sse/blocking?n={items}") as connection:
        while piece := connection.recv(65_536):
            late += lateness(piece, time.monotonic())
    if len(late) != items:
        raise RuntimeError(f"{len(late)} of {items} items came")
    return statistics.median(late)


def measure(settings: Settings) -> Report:
    """Measure every framework."""
    items = settings.pick(20, 4)
    with running(list(APPS)) as servers:

        def case(server: Server) -> Callable[[], float]:
            return lambda: one_round(server, items)

        found = rounds({name: case(server) for name, server in servers.items()}, settings.pick(7, 1))
    late = {name: statistics.median(values) * 1e3 for name, values in found.items()}
    report = Report("A generator that blocks 50 ms before each item", ["", "p50 late, ms"])
    report.rows = [[name, f"{value:.2f}"] for name, value in late.items()]
    report.figures = {"blocking-late": late[OURS]}
    return report


if __name__ == "__main__":
    alone(measure, COVERS)
