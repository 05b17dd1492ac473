"""How long one event takes to the last of 1,000 clients, and what it costs: `python -m benchmarks.fan_out`.

Every framework has 1,000 clients on one worker. The raw app puts one frame, encoded once, into an `asyncio.Queue` of
each client: the least that any app must do. streamkit publishes on a channel with a `MemoryLog`; the peers, which have
nothing of the kind for one process, put the text into the clients' queues and encode it for each. They are measured in
turn, from the request that publishes to the last client that has the event.

What the promises cost is shown by apps that were written by hand for this, of which each keeps some more than the one
before, and has nothing that makes a library of it. The last sends what streamkit's channel gives, so that what is
between it and streamkit is the response alone. They are no peers, and no target is compared with them.

Then one client more comes to the channels, and does not read. 32 MB are published to it alone, twice: what that costs
the process is told, and what it costs the others.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from itertools import count

from benchmarks.harness import Plot, Report, Settings, alone, best_of, rounds
from benchmarks.reading import Crowd, answer_time, connect, raise_limit_of_files
from benchmarks.serving import APPS, IN_STARLETTE, OURS, RAW, UVICORN, Running, memory, running, settled_cpu
from tests.rig.servers import Server

COVERS = ("fan-out-time", "fan-out-cpu")

BY_HAND = {
    "by hand: a bounded queue, ids to resume from": (UVICORN, "benchmarks.apps.by_hand:resumable"),
    "… and a send deadline, a keepalive, counts": (UVICORN, "benchmarks.apps.by_hand:counted"),
    "… and a source in a task of its own": (UVICORN, "benchmarks.apps.by_hand:sourced"),
    "by hand: a channel of streamkit": (UVICORN, "benchmarks.apps.by_hand:channel"),
}

CLIENTS = 1_000
_numbers = count(1_000)


def publish(server: Server, crowd: Crowd) -> tuple[float, float]:
    """Publish one event; return the seconds until the last client has it, and the server's processor seconds."""
    number, before, begun = next(_numbers), settled_cpu(server), time.perf_counter()
    with connect(server.port, f"/publish?n={number}") as publisher:
        crowd.until_all_have(b"%d~" % number)
        took = time.perf_counter() - begun
        publisher.recv(1_000)
    return took, settled_cpu(server) - before


def in_turn(servers: Running, crowds: dict[str, Crowd], rounds_: int) -> dict[str, tuple[float, float]]:
    """Return the medians of both for every server."""

    def case(name: str) -> Callable[[], tuple[float, float]]:
        return lambda: publish(servers[name], crowds[name])

    found = rounds({name: case(name) for name in crowds}, rounds_)
    return {
        name: (statistics.median(took for took, _ in values), statistics.median(used for _, used in values))
        for name, values in found.items()
    }


def with_unread(servers: Running, crowds: dict[str, Crowd], rounds_: int) -> str:
    """Measure once more with a client that does not read, and tell what it costs."""
    server = servers[OURS]
    with connect(server.port, "/unread") as silent:
        silent.recv(1_000)
        grown = []
        for _ in range(2):
            before = memory(server)
            answer_time(server.port, "/fill")
            grown.append((memory(server) - before) // 1024)
        after = in_turn(servers, {name: crowds[name] for name in (RAW, OURS)}, rounds_)
    return (
        f"With one client more that does not read, and 32 MB published to it twice, the process grows by {grown[0]:+}"
        f" and {grown[1]:+} KiB, and the last of the others has its event after {after[OURS][0] / after[RAW][0]:.2f}"
        " times as long as in the raw app."
    )


def measure(settings: Settings) -> Report:
    """Measure every framework, and what was written by hand."""
    apps = APPS | BY_HAND
    clients, rounds_ = settings.pick(CLIENTS, 20), settings.pick(50, 2)
    raise_limit_of_files()
    with running(list(apps), apps) as servers, contextlib.ExitStack() as stack:
        crowds = {name: stack.enter_context(Crowd(server.port, "/sse/fan_out")) for name, server in servers.items()}
        for crowd in crowds.values():
            crowd.grow(clients)
        both = in_turn(servers, crowds, rounds_)
        note = with_unread(servers, crowds, rounds_)
    report = Report(
        f"One event to {clients:,} clients", ["", "ms to the last", "times raw", "CPU us a delivery"], notes=[note]
    )
    each = {name: used / clients for name, (_, used) in both.items()}
    for name, (took, _) in both.items():
        report.rows.append([name, f"{took * 1e3:.1f}", f"{took / both[RAW][0]:.2f}", f"{each[name] * 1e6:.1f}"])
    _, best = best_of(each, [name for name in APPS if name not in {RAW, OURS, IN_STARLETTE}])
    report.figures = {"fan-out-time": both[OURS][0] / both[RAW][0], "fan-out-cpu": each[OURS] / best}
    bars = [(number, both[name][0] * 1e3) for number, name in enumerate(APPS)]
    report.plots.append(Plot("fan_out", report.title, "", "ms to the last client", {"": bars}, ticks=list(APPS)))
    return report


if __name__ == "__main__":
    alone(measure, COVERS)
