"""Write docs/performance.md from the reports of one run."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.harness import Plot, Report, covered, verdicts
from benchmarks.reasons import REASONS
from benchmarks.targets import TARGETS, Target

DOCS = Path(__file__).parent.parent / "docs"

PACKAGES = (
    "starlette",
    "fastapi",
    "sse-starlette",
    "litestar",
    "quart",
    "aiohttp",
    "aiohttp-sse",
    "django",
    "flask",
    "uvicorn",
    "uvloop",
    "httptools",
    "gunicorn",
    "orjson",
    "msgspec",
    "pydantic",
)

INTRODUCTION = """# What streaming costs

This page is written by `make bench`, which installs the newest versions of the peers into an environment of its own,
measures, and puts down what it found: nothing here is edited by hand. `python -m benchmarks.NAME` runs one benchmark,
`--quick` shows in a second or two that it runs.

How it is measured:

- Absolute figures are those of one machine. What is claimed are ratios of two medians of one run, in which all cases
  were visited in turn, so that what else the machine did fell on all of them.
- The floor is an app that sends bytes which are ready, one message an event, and does nothing else: no check for line
  breaks, no keepalive, no limit for slow clients. No library can keep its promises at that price.
- streamkit is compared with the raw app on plain ASGI, and in Starlette with Starlette, with keepalive and disconnect
  handling as they are by default.
- Each peer is used as its documentation has it. Where its views write the frames themselves, the frame of a burst is
  written once beforehand, to the good of the peer.
- One worker serves, on uvicorn with httptools and uvloop, on gunicorn, or on aiohttp's own server. The client is
  another process, on loopback, with raw sockets; it counts and does not parse. What it can read at most is measured in
  the same run.
"""


def write(reports: Sequence[tuple[Report, Sequence[str]]], docs: Path = DOCS) -> Path:
    """Write `performance.md`, and draw its pictures into the folder `performance` beside it; return its path."""
    pairs = _in_order(reports)
    parts = [INTRODUCTION, _machine(), "## What was asked for, and what was reached\n", _targets(pairs), _missed(pairs)]
    for report, _ in reports:
        parts.append(f"## {report.title}\n\n`{report.command}`\n\n{markdown(report.columns, report.rows)}\n")
        parts += [f"{note}\n" for note in report.notes]
        parts += [_picture(plot, docs / "performance") for plot in report.plots]
    page = docs / "performance.md"
    page.write_text("\n".join(parts), encoding="utf-8")
    return page


def _picture(plot: Plot, folder: Path) -> str:
    from benchmarks.plots import draw

    return f"![{plot.title}: {plot.y}]({folder.name}/{draw(plot, folder).name})\n"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown, its figures to the right."""
    rule = ["---", *["---:"] * (len(columns) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (columns, rule, *rows))


def _in_order(reports: Sequence[tuple[Report, Sequence[str]]]) -> list[tuple[Target, float]]:
    pairs = [pair for report, keys in reports for pair in covered(report.figures, keys)]
    order = {target.key: number for number, target in enumerate(TARGETS)}
    return sorted(pairs, key=lambda pair: order[pair[0].key])


def _targets(pairs: Sequence[tuple[Target, float]]) -> str:
    rows, before = [], ""
    for (target, _), cells in zip(pairs, verdicts(pairs), strict=True):
        rows.append(["" if target.row == before else target.row, *cells])
        before = target.row
    met = sum(target.met(value) for target, value in pairs)
    table = markdown(["promise", "figure", "reached", "asked for", ""], rows)
    return f"{met} of {len(pairs)} are met.\n\n{table}\n"


def _missed(pairs: Sequence[tuple[Target, float]]) -> str:
    """Say of the targets that were missed what stands in their way, once for those that share it."""
    missed: dict[tuple[str, str], list[str]] = {}
    for target, value in pairs:
        if not target.met(value):
            reason = REASONS.get(target.key, "No reason is known yet.")
            missed.setdefault((target.row, reason), []).append(target.what)
    return "\n".join(f"**{row}** ({'; '.join(whats)}): {reason}\n" for (row, reason), whats in missed.items())


def _machine() -> str:
    versions = ", ".join(versions_of(PACKAGES))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"Measured with {python} on {machine()}; {versions}.\n"


def versions_of(names: Sequence[str]) -> list[str]:
    """Return name and version of those packages that are installed."""
    found = []
    for name in names:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return found


def machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Describe this machine: processor, cores, system. Not its name."""
    model = platform.machine()
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.release().split('-')[0]}"
