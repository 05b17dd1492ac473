"""Rounds, medians and reports: what every benchmark has in common, and nothing that measures.

A benchmark names its cases and gives for each a function that measures it once. The cases are visited in turn, and each
round begins with another one, so that whatever else the machine does falls on all of them alike. What counts is the
median of a case over the rounds, and what is claimed is the ratio of two such medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from benchmarks.targets import TARGETS, Target

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """How much is measured: `quick` only shows that everything runs, and its figures mean little."""

    quick: bool = False

    def pick(self, full: T, quick: T) -> T:
        """Return the value for this run."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Plot:
    """A picture: bars where a series has one point for each of `ticks`, else curves on logarithmic axes."""

    name: str
    title: str
    x: str
    y: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    ticks: Sequence[str] = ()


@dataclass
class Report:
    """What one benchmark found: a table, the figures that targets bound, by their keys, and words and pictures.

    `command` is what measures the same again.
    """

    title: str
    columns: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    command: str = ""


def rounds(cases: Mapping[str, Callable[[], T]], count: int) -> dict[str, list[T]]:
    """Measure every case once in each of `count` rounds, and begin each round one case later than the one before."""
    names = list(cases)
    found: dict[str, list[T]] = {name: [] for name in names}
    for number in range(count):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(cases[name]())
    return found


def medians(found: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the median of every case."""
    return {name: statistics.median(values) for name, values in found.items()}


def spread(values: Sequence[float]) -> float:
    """Return how far the middle half of the values reaches, as a share of their median."""
    low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else (values[0],) * 3
    return (high - low) / statistics.median(values)


def best_of(values: Mapping[str, float], names: Sequence[str]) -> tuple[str, float]:
    """Return the case with the lowest value among `names`."""
    name = min(names, key=lambda each: values[each])
    return name, values[name]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value below which `percent` of the values lie, the nearest that was measured."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def covered(figures: Mapping[str, float], keys: Sequence[str]) -> list[tuple[Target, float]]:
    """Pair the targets of a benchmark with its figures.

    Raises:
        ValueError: A figure is missing, or there is one that no target of this benchmark asks for.
    """
    if set(figures) != set(keys):
        raise ValueError(f"the figures are {sorted(figures)}, the targets {sorted(keys)}")
    return [(target, figures[target.key]) for target in TARGETS if target.key in figures]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table for a terminal: the first column to the left, the others to the right."""
    lines = [list(columns), *rows]
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    return "\n".join(
        "  ".join(cell.rjust(width) if number else cell.ljust(width) for number, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(line, widths, strict=True)) for line in lines)
    )


def verdicts(pairs: Sequence[tuple[Target, float]]) -> list[list[str]]:
    """Return a row for every target: what, the figure, the bound, and whether it is met."""
    return [
        [target.what, f"{value:.3g} {target.unit}", target.bound(), target.verdict(value)] for target, value in pairs
    ]


def show(report: Report, keys: Sequence[str]) -> None:
    """Print a report, with the targets of its benchmark beneath."""
    print(f"\n== {report.title}\n{table(report.columns, report.rows)}")
    if pairs := covered(report.figures, keys):
        print("\n" + table(["target", "reached", "asked for", ""], verdicts(pairs)))
    for note in report.notes:
        print(note)
    sys.stdout.flush()


def alone(measure: Callable[[Settings], Report], keys: Sequence[str]) -> None:
    """Run one benchmark by itself, as `python -m benchmarks.NAME` does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a second or two, to see that it runs")
    show(measure(Settings(quick=parser.parse_args().quick)), keys)
