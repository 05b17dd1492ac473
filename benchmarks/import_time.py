"""What importing streamkit adds to what an app imports anyway: `python -m benchmarks.import_time`.

Fresh interpreters, in turns; the figure is the difference of the medians of processor time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable

from benchmarks.harness import Report, Settings, alone, medians, rounds

COVERS = ("import",)

CASES = {
    "nothing": "pass",
    "streamkit": "import streamkit",
    "fastapi": "import fastapi",
    "streamkit.fastapi": "import streamkit.fastapi",
    "flask": "import flask",
    "streamkit.flask": "import streamkit.flask",
    "starlette, as far as used": "import starlette.applications, starlette.responses",
    "streamkit.starlette": "import starlette.applications, streamkit.starlette",
}
_TIMED = "import time; begun = time.process_time()\n{}\nprint(time.process_time() - begun)"


def _seconds(statement: str, bytecode: str) -> Callable[[], float]:
    """Return what imports in an interpreter of its own, with compiled modules, as an installed package has them."""
    command = [sys.executable, "-c", _TIMED.format(statement)]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}

    def run() -> float:
        done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60, env=environment)
        return float(done.stdout)

    return run


def measure(settings: Settings) -> Report:
    """Measure every import, after one of each that compiles."""
    with tempfile.TemporaryDirectory() as bytecode:
        cases = {name: _seconds(statement, bytecode) for name, statement in CASES.items()}
        rounds(cases, 1)
        taken = medians(rounds(cases, settings.pick(15, 1)))
    report = Report("Imports, ms of processor time", ["", "alone", "with streamkit's", "more"])
    for base, ours in zip(list(CASES)[::2], list(CASES)[1::2], strict=True):
        cells = (taken[base], taken[ours], taken[ours] - taken[base])
        report.rows.append([ours, *(f"{seconds * 1e3:.1f}" for seconds in cells)])
    report.figures = {"import": (taken["streamkit.fastapi"] - taken["fastapi"]) * 1e3}
    return report


if __name__ == "__main__":
    alone(measure, COVERS)
