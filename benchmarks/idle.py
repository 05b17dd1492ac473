"""Connections on which nothing happens but the keepalive: `python -m benchmarks.idle`.

5,000 connections to one worker. Memory is what the process has grown by, a connection's share. The processor time is
that of the process over whole keepalive intervals; the floor is a raw app in which one timer serves all connections.
Starlette, Litestar, Quart and Django send no keepalive, so only their memory says something; nor does the app that was
written by hand to show what the promises for a stream take, whoever keeps them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from benchmarks.harness import Plot, Report, Settings, alone, rounds
from benchmarks.reading import Crowd, raise_limit_of_files
from benchmarks.serving import APPS, IN_STARLETTE, OURS, PROMISES_BY_HAND, RAW, cpu, memory, running
from tests.rig.servers import Server

COVERS = ("idle-memory", "idle-cpu")

CONNECTIONS = 5_000
BEATING = (RAW, OURS, IN_STARLETTE, "sse-starlette", "FastAPI", "aiohttp-sse")
WARM = 50
"""Connections opened before memory is looked at: what a process loads at its first request is no connection's share."""


def measure(settings: Settings) -> Report:
    """Measure every framework: memory once, in a fresh process; processor time in turns."""
    connections, interval = settings.pick(CONNECTIONS, 100), settings.pick(5.0, 1.0)
    raise_limit_of_files()
    apps = APPS | PROMISES_BY_HAND
    with running(list(apps), apps, keepalive=interval) as servers:
        grown = {name: _growth(server, connections) for name, server in servers.items()}
        beats = rounds({name: _beating(servers[name], connections, interval) for name in BEATING}, settings.pick(3, 1))
    shares = {name: statistics.median(values) for name, values in beats.items()}
    report = Report(
        f"{connections:,} idle connections, a keepalive every {interval:g} s",
        ["", "KiB a connection", "CPU us a keepalive", "of a core, every 15 s"],
    )
    for name, size in grown.items():
        share = shares.get(name)
        cells = ["", ""] if share is None else [f"{share * 1e6:.1f}", f"{share * connections / 15 * 100:.2f} %"]
        report.rows.append([name, f"{size / 1024:.1f}", *cells])
    report.figures = {"idle-memory": grown[OURS] / 1024, "idle-cpu": shares[OURS] / shares[RAW]}
    report.notes.append("The last column is computed from the one before.")
    bars = [(number, size / 1024) for number, size in enumerate(grown.values())]
    report.plots.append(Plot("idle", report.title, "", "KiB a connection", {"": bars}, ticks=list(grown)))
    return report


def _growth(server: Server, connections: int) -> float:
    with Crowd(server.port, "/sse/idle") as crowd:
        crowd.grow(WARM)
        before = memory(server)
        crowd.grow(connections)
        return (memory(server) - before) / connections


def _beating(server: Server, connections: int, interval: float) -> Callable[[], float]:
    """Return what measures the processor seconds of one keepalive of one connection."""

    def once() -> float:
        with Crowd(server.port, "/sse/idle") as crowd:
            crowd.grow(connections)
            crowd.drain(interval * 1.5)  # until every connection has settled into its rhythm
            before = cpu(server)
            crowd.drain(interval * 2)
            return (cpu(server) - before) / (2 * connections)

    return once


if __name__ == "__main__":
    alone(measure, COVERS)
