"""One stream as fast as it goes, to one reader: `python -m benchmarks.burst`.

Async generators that never wait, as events and as JSON lines, and sync generators under ASGI; each framework by its own
means on uvicorn (httptools, uvloop), aiohttp on its own server. The same reader also takes one body of the same bytes.

The floor and the peers send lines that are ready, where streamkit is given a dict for each. So two rows show what it
costs a view to encode its dicts, and two how near a library can come that looks at each line and sends them together.
They were written by hand for this, and no target is compared with them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

from benchmarks.harness import Plot, Report, Settings, alone, medians, rounds, spread
from benchmarks.reading import read_to_end
from benchmarks.serving import APPS, IN_STARLETTE, OURS, RAW, STARLETTE, Running, running, settled_cpu
from tests.rig.servers import Server

COVERS = (
    "burst-sse-raw",
    "burst-sse-starlette",
    "burst-ndjson-raw",
    "burst-ndjson-starlette",
    "burst-sync-starlette",
)

READER = "reader, one body"
BY_HAND = {
    "raw ASGI, encodes its dicts": (RAW, "/lines/encoded", 1),
    "Starlette, encodes its dicts": (STARLETTE, "/lines/encoded", 1),
    "by hand: dicts looked at, batched": (RAW, "/lines/batched", 10),
    "… by an encoder that can be exchanged": (RAW, "/lines/gathered", 10),
}
"""By the name of a row: where it is served, and how many times as many events it sends as most."""

NO_LINES = {"sse-starlette", "aiohttp-sse"}
NO_SYNC = {RAW, "aiohttp-sse", "Django"}
"""aiohttp has no sync views, and raw ASGI no way but a thread; Django reads a sync generator to its end beforehand."""

BATCHING = {OURS, IN_STARLETTE}
SLOW = {"FastAPI": 4, "sse-starlette": 2, "aiohttp-sse": 2}
"""By how much shorter a case is, so that no case takes most of the time."""


def one_burst(server: Server, path: str, count: int) -> tuple[float, float]:
    """Return the events per second of one response, and the server's processor seconds of one event."""
    before = settled_cpu(server)
    rate = read_to_end(server.port, f"{path}?n={count}", count).rate
    return rate, (settled_cpu(server) - before) / count


def cases(servers: Running, events: int) -> dict[str, Callable[[], tuple[float, float]]]:
    """Return a measurement for each way of each framework."""
    found: dict[str, Callable[[], tuple[float, float]]] = {}

    def add(name: str, server: str, path: str, count: int) -> None:
        found[name] = partial(one_burst, servers[server], path, count)

    for name in servers:
        count = events // SLOW.get(name, 1) * (10 if name in BATCHING else 1)
        add(f"{name}/sse", name, "/sse/burst", count)
        if name not in NO_LINES:
            add(f"{name}/lines", name, "/lines/burst", count)
        if name not in NO_SYNC:
            add(f"{name}/sync", name, "/sse/burst_sync", events * 5 if name in BATCHING else events // 15)
    for name, (server, path, times) in BY_HAND.items():
        add(f"{name}/lines", server, path, events * times)
    add(READER, RAW, "/body", events * 20)
    return found


def measure(settings: Settings) -> Report:
    """Measure every framework."""
    with running(list(APPS)) as servers:
        found = rounds(cases(servers, settings.pick(60_000, 3_000)), settings.pick(15, 1))
    rates = medians({name: [rate for rate, _ in values] for name, values in found.items()})
    report = Report(
        "Bursts, thousand events per second (in brackets: CPU us an event; the middle half of the rounds)",
        ["", "SSE, async", "NDJSON, async", "SSE, sync"],
    )
    for name in (*APPS, *BY_HAND):
        report.rows.append([name, *(_cell(found, f"{name}/{kind}") for kind in ("sse", "lines", "sync"))])
    report.rows.append([READER, _cell(found, READER), "", ""])
    for kind, key in (("sse", "sse"), ("lines", "ndjson")):
        report.figures[f"burst-{key}-raw"] = rates[f"{OURS}/{kind}"] / rates[f"{RAW}/{kind}"]
        report.figures[f"burst-{key}-starlette"] = rates[f"{IN_STARLETTE}/{kind}"] / rates[f"{STARLETTE}/{kind}"]
    report.figures["burst-sync-starlette"] = rates[f"{IN_STARLETTE}/sync"] / rates[f"{STARLETTE}/sync"]
    report.notes.append(_about_reader(rates))
    report.plots.append(_plot(rates))
    return report


def _about_reader(rates: dict[str, float]) -> str:
    """Tell whether the client can have been the limit of any rate."""
    times = rates[READER] / max(rates[name] for name in rates if name != READER)
    verdict = "is not the limit" if times >= 2 else "MAY BE THE LIMIT: do not trust the highest rates"
    return f"The reader takes one body {times:.1f} times as fast as the quickest stream, so it {verdict}."


def _cell(found: dict[str, list[tuple[float, float]]], name: str) -> str:
    if name not in found:
        return ""
    rates, used = zip(*found[name], strict=True)
    share = statistics.median(used) * 1e6
    return f"{statistics.median(rates) / 1e3:,.1f} ({share:.2f}; ±{spread(rates) * 50:.0f} %)"


def _plot(rates: dict[str, float]) -> Plot:
    series = {
        kind: [(number, rates[f"{name}/{path}"] / 1e3) for number, name in enumerate(APPS) if f"{name}/{path}" in rates]
        for kind, path in (("SSE, async", "sse"), ("NDJSON, async", "lines"), ("SSE, sync", "sync"))
    }
    return Plot("burst", "One stream that never waits", "", "thousand events per second", series, ticks=list(APPS))


if __name__ == "__main__":
    alone(measure, COVERS)
