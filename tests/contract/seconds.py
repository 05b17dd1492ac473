"""The table of measured seconds in docs/shutdown.md; a run with STREAMKIT_WRITE_DOCS=1 writes its rows."""

from __future__ import annotations

import os
import re

from tests.contract.matrix import WRITE
from tests.rig.servers import ROOT

PAGE = ROOT / "docs" / "shutdown.md"
_ROW = re.compile(r"^\| `(?P<name>.+?)` \| (?P<ended>.+?) \| (?P<gone>.+?) \|", re.MULTILINE)

ROWS = [match["name"] for match in _ROW.finditer(PAGE.read_text())]


def write_row(name: str, ended: float, gone: float) -> None:
    """Write what was measured for `name` into its row, where the run is to write."""
    if os.environ.get(WRITE) == "1":
        before = re.escape(f"| `{name}` | ") + r".+? \| .+? \|"
        PAGE.write_text(re.sub(before, f"| `{name}` | {ended:.1f} | {gone:.1f} |", PAGE.read_text()))
