"""Run all benchmarks and write docs/performance.md: `python -m benchmarks`, or `make bench`.

With `--quick` everything runs for a second or two, only to show that it does; nothing is written then.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace

from benchmarks import (
    blocking,
    burst,
    encode,
    fan_out,
    growth,
    idle,
    import_time,
    middleware_cost,
    paced,
    starvation,
    wsgi_burst,
)
from benchmarks.harness import Report, Settings, show
from benchmarks.page import write

BENCHMARKS: Sequence[tuple[str, Callable[[Settings], Report], Sequence[str]]] = [
    (f"python -m {module.__name__}", module.measure, module.COVERS)
    for module in (
        encode,
        burst,
        wsgi_burst,
        paced,
        blocking,
        idle,
        fan_out,
        starvation,
        import_time,
        middleware_cost,
        growth,
    )
]


def main() -> None:
    """Measure all, print, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a second or two each, and nothing is written")
    settings, reports = Settings(quick=parser.parse_args().quick), []
    for command, measure, keys in BENCHMARKS:
        reports.append((report := replace(measure(settings), command=command), keys))
        show(report, keys)
    if not settings.quick:
        print(f"\nwritten: {write(reports).name}")


if __name__ == "__main__":
    main()
