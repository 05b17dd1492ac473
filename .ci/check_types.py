"""Fail when pyright knows the types of fewer of the package's public symbols than it did.

A symbol counts as known where it and all that it is made of is annotated, so that every checker infers the same: what
`pyright --verifytypes` calls type completeness. Not all can be: Django REST framework, whose renderers
`streamkit.rest_framework` derives from, ships no types. Usage: python .ci/check_types.py
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

LEAST = 0.98  # raise it when there are more


def report() -> dict[str, Any]:
    """Return what pyright says of the package that is installed where this runs."""
    # It looks for the package where the first `python` of the PATH would.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    command = [sys.executable, "-m", "pyright", "--verifytypes", "streamkit", "--ignoreexternal", "--outputjson"]
    run = subprocess.run(command, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, check=False)
    found: dict[str, Any] = json.loads(run.stdout)["typeCompleteness"]
    return found


def unknown(found: dict[str, Any]) -> list[str]:
    """Return a line for each public symbol whose type is not known, with the first reason."""
    return [
        f"{symbol['name']}: {symbol['diagnostics'][0]['message'].splitlines()[0].strip()}"
        for symbol in found["symbols"]
        if symbol["isExported"] and not symbol["isTypeKnown"] and symbol["diagnostics"]
    ]


def main() -> int:
    """Print how many are known; where that is too few, which are not, and return 1."""
    found = report()
    score = found["completenessScore"]
    counts = found["exportedSymbolCounts"]
    print(f"types: {counts['withKnownType']} of {sum(counts.values())} public symbols are known, {score:.1%}")
    if score >= LEAST:
        return 0
    print("\n".join([*unknown(found), f"streamkit:1: that is less than {LEAST:.0%}"]))
    return 1


if __name__ == "__main__":
    sys.exit(main())
