"""What importing streamkit adds to what an app imports anyway: `python -m benchmarks.import_time`.

Fresh interpreters, in turns. Each imports the framework first, and streamkit's part for it then; both are timed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable

from benchmarks.harness import Report, Settings, alone, rounds

COVERS = ("import",)

CASES = {
    "streamkit": "asyncio",
    "streamkit.fastapi": "fastapi",
    "streamkit.flask": "flask",
    "streamkit.starlette": "starlette.applications, starlette.responses",
}
"""What is imported, and what before it."""

_TIMED = """\
import time
begun = time.process_time()
import {}
between = time.process_time()
import {}
print(between - begun, time.process_time() - between)
"""


def _seconds(before: str, module: str, bytecode: str) -> Callable[[], tuple[float, float]]:
    """Return what imports in an interpreter of its own, with compiled modules, as an installed package has them."""
    command = [sys.executable, "-c", _TIMED.format(before, module)]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}

    def run() -> tuple[float, float]:
        done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60, env=environment)
        first, second = map(float, done.stdout.split())
        return first, second

    return run


def measure(settings: Settings) -> Report:
    """Measure every import, after one of each that compiles."""
    with tempfile.TemporaryDirectory() as bytecode:
        cases = {module: _seconds(before, module, bytecode) for module, before in CASES.items()}
        rounds(cases, 1)
        found = rounds(cases, settings.pick(15, 1))
    taken = {module: [statistics.median(part) for part in zip(*times, strict=True)] for module, times in found.items()}
    report = Report("Imports, ms of processor time", ["", "what it needs", "streamkit's part, after that"])
    for module, parts in taken.items():
        report.rows.append([module, *(f"{seconds * 1e3:.1f}" for seconds in parts)])
    report.figures = {"import": taken["streamkit.fastapi"][1] * 1e3}
    return report


if __name__ == "__main__":
    alone(measure, COVERS)
