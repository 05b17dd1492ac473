"""Many streams that mostly wait, as those of a language model do: `python -m benchmarks.paced`.

200 streams of 50 tokens a second each, from one worker. A token carries the moment it was due; how late it is when the
client has it counts the timer of the event loop, the framework, the server and the client. The processor time is that
of the server's process, a token's share.

What the promises cost whoever keeps them is shown by an app that was written by hand for this, and that has nothing
which makes a library of it. It is no peer, and no target is compared with it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from benchmarks.harness import Plot, Report, Settings, alone, percentile, rounds
from benchmarks.reading import Crowd
from benchmarks.serving import APPS, IN_STARLETTE, OURS, PROMISES_BY_HAND, RAW, STARLETTE, cpu, running
from tests.rig.servers import Server

COVERS = ("paced-cpu", "paced-late")

STREAMS = 200


def one_round(server: Server, streams: int, seconds: float) -> tuple[float, float, float]:
    """Return the processor seconds of a token, and the median and the 99th percentile of lateness in seconds."""
    with Crowd(server.port, "/sse/paced") as crowd:
        crowd.grow(streams)
        crowd.lateness(0.5)
        before = cpu(server)
        late = crowd.lateness(seconds)
        used = cpu(server) - before
    return used / len(late), statistics.median(late), percentile(late, 99)


def measure(settings: Settings) -> Report:
    """Measure every framework."""
    streams, seconds = settings.pick(STREAMS, 20), settings.pick(4.0, 0.3)
    apps = APPS | PROMISES_BY_HAND
    with running(list(apps), apps) as servers:

        def case(server: Server) -> Callable[[], tuple[float, float, float]]:
            return lambda: one_round(server, streams, seconds)

        found = rounds({name: case(server) for name, server in servers.items()}, settings.pick(9, 1))
    tokens, late, worst = (
        {name: statistics.median(each[number] for each in values) for name, values in found.items()}
        for number in range(3)
    )
    report = Report(
        f"{streams} streams, 50 tokens a second each",
        ["", "CPU us a token", "p50 late, ms", "p99 late, ms"],
    )
    report.rows = [
        [name, f"{tokens[name] * 1e6:.1f}", f"{late[name] * 1e3:.2f}", f"{worst[name] * 1e3:.1f}"] for name in found
    ]
    report.figures = {
        "paced-cpu": tokens[IN_STARLETTE] / tokens[STARLETTE],
        "paced-late": late[OURS] / late[RAW],
    }
    bars = [(number, tokens[name] * 1e6) for number, name in enumerate(found)]
    report.plots.append(Plot("paced", report.title, "", "CPU us a token", {"": bars}, ticks=list(found)))
    return report


if __name__ == "__main__":
    alone(measure, COVERS)
