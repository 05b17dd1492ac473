"""What `make stalls` runs the suite under."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

STALLS = Path(__file__).with_name("stalls")

LATE = """
import asyncio, sitecustomize
sitecustomize.OFTEN, stalls = 1, []
sitecustomize.time.sleep = stalls.append
asyncio.run(asyncio.sleep(0))
print(len(stalls) > 1, set(stalls) <= set(sitecustomize.SECONDS))
"""


def test_each_process_stalls_before_the_callbacks_of_its_loop() -> None:
    """Also one that a test starts, which is told by nothing but its environment."""
    told = {**os.environ, "PYTHONPATH": str(STALLS)}
    printed = subprocess.run(
        [sys.executable, "-c", LATE], check=False, env=told, capture_output=True, text=True, timeout=30
    )
    assert (printed.stdout, printed.stderr) == ("True True\n", "")
