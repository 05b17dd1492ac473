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
PACKAGES = ("uvicorn", "uvloop", "httptools", "redis")


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


def measured_now() -> Measured:
    """Measure everything."""
    from benchmarks.scale.measure import measure
    from benchmarks.scale.restart import HOWS, restart

    versions = {"Python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    today = dt.datetime.now(dt.UTC).date().isoformat()
    return Measured(kind_of_machine(), today, versions, measure(), [restart(how) for how in HOWS])


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale")
    parser.add_argument("--measure", action="store_true", help=f"measure first, and write {FILE.name}")
    parser.add_argument("--write", action="store_true", help="put the tables and the picture into docs")
    arguments = parser.parse_args()
    if arguments.measure:
        save(measured_now())
    measured = load()
    for name, text in TABLES.items():
        print(f"== {name}\n\n{text(measured)}\n")
    if arguments.write:
        PAGE.write_text(placed(PAGE.read_text(encoding="utf-8"), measured), encoding="utf-8")
        PICTURE.write_text(draw(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
