"""What one unit costs as there are more of them, or larger ones: `python -m benchmarks.growth`.

Streams on one worker, the size of a frame, channels, subscribers of one channel, entries of a log. Every curve is the
cost of one unit, so a flat or a falling line is linear growth or better. A curve that ends more than half above its
median is said to bend upward, and needs a reason in `REASONS`.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from benchmarks.harness import Plot, Report, Settings, alone, medians, rounds
from benchmarks.reading import Crowd, answer_time, raise_limit_of_files, read_to_end
from benchmarks.serving import OURS, RAW, cpu, memory, running, settled_cpu
from streamkit.channels import Channels, MemoryLog, SQLiteLog
from streamkit.channels._log import Log
from tests.rig.servers import Server

COVERS: tuple[str, ...] = ()

BEND = 1.5
REASONS: dict[str, str] = {}
"""Why a curve bends upward, by `plot/series`; written by hand when the measurement says that it does."""

Curve = list[tuple[float, float]]
_numbers = count(1_000)


def bends_upward(curve: Sequence[tuple[float, float]]) -> bool:
    """Tell whether the cost of one unit at the end of a curve is more than half above its median."""
    return curve[-1][1] > BEND * statistics.median(cost for _, cost in curve)


def measured(points: dict[tuple[str, int], Callable[[], float]], rounds_: int) -> dict[str, Curve]:
    """Measure every point of every curve in turns, and return the medians."""
    found = medians(rounds({f"{name}/{size}": case for (name, size), case in points.items()}, rounds_))
    curves: dict[str, Curve] = {}
    for name, size in points:
        curves.setdefault(name, []).append((size, found[f"{name}/{size}"]))
    return curves


# -- streams ---------------------------------------------------------------------------------------------------------


def streams(settings: Settings) -> list[Plot]:
    """Measure the cost of one token where so many streams have 2,000 a second together, and of one stream's memory."""
    sizes, seconds = settings.pick((10, 100, 1_000, 3_000, 10_000), (10, 40)), settings.pick(5.0, 0.3)
    tokens: dict[str, Curve] = {}
    sizes_of: dict[str, Curve] = {}
    for name in (OURS, RAW, "Starlette"):
        for size in sizes:
            with running([name]) as servers:
                used, grown = _token(servers[name], size, seconds)
            tokens.setdefault(name, []).append((size, used * 1e6))
            sizes_of.setdefault(name, []).append((size, grown / 1024))
    return [
        Plot(
            "growth_streams",
            "Streams on one worker, 2,000 tokens a second together",
            "streams",
            "CPU us a token",
            tokens,
        ),
        Plot("growth_memory", "Streams on one worker", "streams", "KiB a stream", sizes_of),
    ]


def _token(server: Server, size: int, seconds: float) -> tuple[float, float]:
    interval = max(5, size // 2)  # ms between two tokens of one stream
    with Crowd(server.port, f"/sse/paced?n={interval}") as crowd:
        crowd.open(10)
        crowd.drain(0.3)
        before = memory(server)
        crowd.open(size)
        crowd.drain(min(seconds, 2 * interval / 1000))
        grown = memory(server) - before
        begun = cpu(server)
        late = crowd.lateness(max(seconds, interval / 1000))
        return (cpu(server) - begun) / max(1, len(late)), grown / size


# -- the size of a frame ---------------------------------------------------------------------------------------------


def frames(settings: Settings) -> list[Plot]:
    """Measure one byte of a burst, by the size of its frames."""
    sizes = settings.pick((16, 256, 4_096, 65_536, 2**20), (16, 65_536))
    points: dict[tuple[str, int], Callable[[], float]] = {}
    with running([OURS, RAW, "Starlette"]) as servers:
        for name, server in servers.items():
            for size in sizes:
                points[name, size] = _frame(server, size)
        curves = measured(points, settings.pick(5, 1))
    per_byte = {name: [(size, cost / size * 1e9) for size, cost in curve] for name, curve in curves.items()}
    return [Plot("growth_byte", "One byte of a burst", "bytes of a frame", "ns a byte", per_byte)]


def _frame(server: Server, size: int) -> Callable[[], float]:
    events = max(1, min(20_000, 2**24 // size))
    return lambda: read_to_end(server.port, f"/sse/sized?n={size}", events).seconds / events


# -- channels and subscribers ----------------------------------------------------------------------------------------


def channels(settings: Settings) -> list[Plot]:
    """Measure one delivery where every channel has one subscriber, and where one channel has them all."""
    one_each = settings.pick((10, 100, 1_000, 5_000), (10, 40))
    together = settings.pick((10, 100, 1_000, 10_000), (10, 40))
    rounds_ = settings.pick(15, 2)
    delivery: Curve = [(size, _delivery(size, rounds_, many=True) * 1e6) for size in one_each]
    shared: Curve = [(size, _delivery(size, rounds_, many=False) * 1e6) for size in together]
    return [
        Plot("growth_channels", "Channels of one subscriber each", "channels", "CPU us a delivery", {OURS: delivery}),
        Plot("growth_subscribers", "Subscribers of one channel", "subscribers", "CPU us a delivery", {OURS: shared}),
    ]


def _delivery(size: int, rounds_: int, *, many: bool) -> float:
    """Return the processor seconds of one delivery, the median of the rounds."""
    with running([OURS]) as servers, Crowd(servers[OURS].port, "/sse/fan_out") as crowd:
        server, used = servers[OURS], []
        if many:
            for number in range(size):
                crowd.grow(1, f"/subscribe?channel=c{number}")
        else:
            crowd.grow(size)
        for _ in range(rounds_):
            number, before = next(_numbers), settled_cpu(server)
            path = f"/publish_to_each?channels={size}&" if many else "/publish?"
            answer_time(server.port, f"{path}n={number}")
            crowd.until_all_have(b"%d~" % number)
            used.append((settled_cpu(server) - before) / size)
    return statistics.median(used)


# -- the length of a log ---------------------------------------------------------------------------------------------

REPLAYED = 10


def logs(settings: Settings) -> list[Plot]:
    """Measure a publish, and the resume of a client that has missed ten events, by what the log holds."""
    sizes = settings.pick((10, 100, 1_000, 10_000, 100_000), (10, 100))
    published: dict[str, Curve] = {}
    resumed: dict[str, Curve] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            made: dict[str, Log] = {
                "MemoryLog": MemoryLog(max_events=size + 1_000, max_bytes=2**30),
                "SQLiteLog": SQLiteLog(Path(folder) / "log.db", max_events=size + 1_000, max_bytes=2**30),
            }
            for name, log in made.items():
                seconds = asyncio.run(_publish_and_resume(Channels(log), size, settings.pick(200, 5)))
                published.setdefault(name, []).append((size, seconds[0] * 1e6))
                resumed.setdefault(name, []).append((size, seconds[1] * 1e6))
    return [
        Plot("growth_publish", "Publish to a log", "entries in the log", "us", published),
        Plot("growth_resume", f"Resume behind {REPLAYED} missed events", "entries in the log", "us", resumed),
    ]


async def _publish_and_resume(hub: Channels, size: int, times: int) -> tuple[float, float]:
    """Return the median seconds of each."""
    for _ in range(size):
        await hub.publish("a", "hello")
    publishes, resumes = [], []
    for _ in range(times):
        begun = time.perf_counter()
        last = await hub.publish("a", "hello")
        publishes.append(time.perf_counter() - begun)
    for _ in range(REPLAYED):
        await hub.publish("a", "hello")
    for _ in range(times):
        begun = time.perf_counter()
        events = hub.subscribe("a", after=last)
        for _number in range(REPLAYED):
            await anext(events)
        resumes.append(time.perf_counter() - begun)
        await events.aclose()
    hub.close()
    return statistics.median(publishes), statistics.median(resumes)


# --------------------------------------------------------------------------------------------------------------------


def measure(settings: Settings) -> Report:
    """Measure every curve."""
    raise_limit_of_files()
    report = Report("Growth: the cost of one unit", ["", "", "from", "to", "first", "median", "last", ""])
    for part in (streams, frames, channels, logs):
        report.plots += part(settings)
    for plot in report.plots:
        for name, curve in plot.series.items():
            bends = bends_upward(curve)
            costs = [cost for _, cost in curve]
            figures = (costs[0], statistics.median(costs), costs[-1])
            report.rows.append(
                [
                    f"{plot.title}, {plot.y}",
                    name,
                    f"{curve[0][0]:,}",
                    f"{curve[-1][0]:,} {plot.x}",
                    *(f"{cost:.3g}" for cost in figures),
                    "bends upward" if bends else "",
                ]
            )
            if bends:
                reason = REASONS.get(f"{plot.name}/{name}", "No reason is known yet.")
                report.notes.append(f"{plot.title}, {name}, bends upward. {reason}")
    return report


if __name__ == "__main__":
    alone(measure, COVERS)
