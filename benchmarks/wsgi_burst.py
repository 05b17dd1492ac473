"""One sync stream under WSGI, on gunicorn: `python -m benchmarks.wsgi_burst`.

Flask and Django with their own streaming and with streamkit's, keepalive off, in a sync worker; and in a worker with
threads, where a stream that has its keepalive runs in a thread of its own, so that items which are ready together leave
together. `raw WSGI, texts framed` is the least that a library can do: it puts `data: ` before a text, and looks at
nothing. `by hand: promises kept` is raw too, and keeps of streamkit's promises those that cost something at each item.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.harness import Plot, Report, Settings, alone, medians, rounds, spread
from benchmarks.reading import read_to_end
from benchmarks.serving import WSGI_APPS, Running, running

COVERS = ("wsgi-flask", "wsgi-django", "wsgi-batched")

WAYS = {
    "raw WSGI": ("raw WSGI", "/sse/burst_sync"),
    "raw WSGI, texts framed": ("raw WSGI", "/framed/burst_sync"),
    "by hand: promises kept": ("raw WSGI", "/kept/burst_sync"),
    "Flask": ("Flask", "/sse/burst_sync"),
    "Flask, streamkit": ("Flask", "/ours/burst_sync"),
    "Django": ("Django", "/sync/burst_sync"),
    "Django, streamkit": ("Django", "/ours/burst_sync"),
    "raw WSGI, threads": ("raw WSGI, threads", "/sse/burst_sync"),
    "Flask, streamkit, threads": ("Flask, threads", "/batched/burst_sync"),
}


def cases(servers: Running, events: int) -> dict[str, Callable[[], float]]:
    """Return a measurement for each way: events per second."""

    def case(server: str, path: str) -> Callable[[], float]:
        return lambda: read_to_end(servers[server].port, f"{path}?n={events}", events).rate

    return {name: case(server, path) for name, (server, path) in WAYS.items()}


def measure(settings: Settings) -> Report:
    """Measure every way."""
    with running(list(WSGI_APPS), WSGI_APPS) as servers:
        found = rounds(cases(servers, settings.pick(60_000, 3_000)), settings.pick(45, 1))
    rates = medians(found)
    report = Report("Bursts under WSGI, gunicorn", ["", "thousand events per second", "middle half of the rounds"])
    report.rows = [[name, f"{rate / 1e3:,.1f}", f"±{spread(found[name]) * 50:.0f} %"] for name, rate in rates.items()]
    report.figures = {
        "wsgi-flask": rates["Flask, streamkit"] / rates["raw WSGI"],
        "wsgi-django": rates["Django, streamkit"] / rates["raw WSGI"],
        "wsgi-batched": rates["Flask, streamkit, threads"] / rates["raw WSGI, threads"],
    }
    bars = [(number, rate / 1e3) for number, rate in enumerate(rates.values())]
    title = "One sync stream under WSGI"
    report.plots.append(Plot("wsgi", title, "", "thousand events per second", {"SSE": bars}, ticks=list(rates)))
    return report


if __name__ == "__main__":
    alone(measure, COVERS)
