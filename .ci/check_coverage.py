"""Fail when the tests leave out a branch of the pure core, or more than 5 % of any other part.

Reads what `coverage json` wrote. The pure core needs no clock, thread or socket, so nothing excuses a line or a branch
there that no test takes. Each failure names the lines. Usage: python .ci/check_coverage.py coverage.json
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

PURE = {"errors", "_format", "sse", "ndjson", "jsonseq", "text", "decode", "_headers", "_negotiation", "_json"}
REST_PERCENT = 95.0


def is_pure(path: str) -> bool:
    """Tell whether `path`, as in streamkit/sse.py, is a module of the pure core, or a file inside one."""
    return PurePosixPath(path).with_suffix("").parts[1] in PURE


def missing(data: Mapping[str, Any]) -> str:
    """Write the lines and branches that no test took, as `lines 3, 5; branches 7->9`."""
    lines = ", ".join(str(line) for line in data["missing_lines"])
    branches = ", ".join(f"{start}->{'exit' if end < 0 else end}" for start, end in data["missing_branches"])
    return "; ".join(part for part in (f"lines {lines}" * bool(lines), f"branches {branches}" * bool(branches)) if part)


def check(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each file of the pure core that is not covered whole, and for the rest when it falls short."""
    if not report["meta"]["branch_coverage"]:
        yield "coverage was measured without branches"
    covered = total = 0
    rest: list[str] = []
    for path, data in sorted(report["files"].items()):
        summary = data["summary"]
        if is_pure(path):
            if missing(data):
                yield f"{path}: the pure core is covered whole, but no test takes {missing(data)}"
            continue
        covered += summary["covered_lines"] + summary["covered_branches"]
        total += summary["num_statements"] + summary["num_branches"]
        if missing(data):
            rest.append(f"{path}: {summary['percent_covered']:.1f} %: no test takes {missing(data)}")
    percent = 100 * covered / total if total else 100.0
    if percent < REST_PERCENT:
        yield from rest
        yield f"streamkit outside its pure core: {percent:.1f} % is covered, {REST_PERCENT:.0f} % is the least"


def main() -> int:
    """Print what is not covered; return 1 if that is too much."""
    failures = list(check(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
    print("\n".join(failures) or "coverage: the pure core whole, the rest above its least")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
