"""Run the command as a user does, in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass

from tests.rig.servers import ROOT


@dataclass(frozen=True)
class Ran:
    """What the command printed, and its exit code."""

    code: int
    out: str
    err: str


def run(*arguments: str, columns: int = 100, environment: dict[str, str] | None = None, within: float = 50) -> Ran:
    """Run `streamkit` with arguments, in a terminal of so many columns."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "streamkit.doctor.command", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": str(columns), "NO_COLOR": "1", **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def without_measures(text: str) -> list[str]:
    """Return the lines of a report without what differs from run to run: numbers, and when events came."""
    plain = re.sub(r"[\u2581-\u2588]", " ", re.sub(r"\d+(\.\d+)?", "N", text))
    return [" ".join(line.split()) for line in plain.splitlines() if line.strip()]
