"""docs/contract.md: rendered from outcomes, of a run or of what is declared.

A run with STREAMKIT_WRITE_DOCS=1 writes the file from what happened, if every promise was tried in every column and
nothing failed unexpectedly. Any other run compares the file with what `declared` says must happen; since an expected
failure that passes fails the run, both agree whenever the suite is green. Under pytest-xdist the controller writes.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import pytest

from tests.contract.declared import ADAPTERS, COLUMNS, MODES, Column, limit
from tests.contract.plan import Promise, promise_of

WRITE = "STREAMKIT_WRITE_DOCS"
CELL = "contract cell"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "contract.md"
MODULES = ("head", "items", "keepalive", "disconnect", "errors", "end", "lives")

# (test, column, mode) -> why not, or None for kept
Outcomes = dict[tuple[str, str, str], str | None]

INTRODUCTION = """\
# The stream contract

What a stream does, in each framework, under each server, for sync and async sources. This page is written by the test
suite: every cell is a test that ran. **yes** is kept for both kinds of source; **sync** or **async** is kept for that
kind alone, because the promise is only about it or because of the reason in the note; **no** is kept for neither, and
the note says whose doing it is. `in-process` is the adapter without a server, behind a strict ASGI checker or
`wsgiref.validate`.

A no is a test too, one that is expected to fail: when a server changes, we hear of it.
"""


def promises() -> dict[str, Promise]:
    """Return all promises by the name of their test, in the order of the contract."""
    found: dict[str, Promise] = {}
    for name in MODULES:
        module = importlib.import_module(f"tests.contract.test_{name}")
        for test, function in vars(module).items():
            promise = promise_of(function) if callable(function) else None
            if promise is not None:
                found[test] = promise
    return dict(sorted(found.items(), key=lambda entry: entry[1].point))


def declared() -> Outcomes:
    """Return the outcomes that a green run must have."""
    outcomes: Outcomes = {}
    for test, promise in promises().items():
        for column in COLUMNS:
            for mode in MODES:
                if promise.applies(column, mode):
                    known = limit(test, column, mode)
                    outcomes[test, column.id, mode] = known.reason if known else None
    return outcomes


class Page:
    """Renders outcomes as Markdown; each reason becomes one note."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes
        self._notes: list[str] = []

    def render(self) -> str:
        """Return the page."""
        tables = [self._table(adapter) for adapter in ADAPTERS]
        notes = [f"{number}. {reason}" for number, reason in enumerate(self._notes, 1)]
        return "\n".join([INTRODUCTION, *tables, "## Notes", "", *notes]) + "\n"

    def _table(self, adapter: str) -> str:
        columns = [column for column in COLUMNS if column.adapter == adapter]
        lines = [
            f"## {adapter}",
            "",
            f"| point | promise | {' | '.join(column.place for column in columns)} |",
            f"|---|---|{'---|' * len(columns)}",
        ]
        for test, promise in promises().items():
            cells = [self._cell(test, promise, column) for column in columns]
            if any(cell != "-" for cell in cells):
                lines.append(f"| {promise.point} | {promise.text} | {' | '.join(cells)} |")
        return "\n".join([*lines, ""])

    def _cell(self, test: str, promise: Promise, column: Column) -> str:
        asked = [mode for mode in MODES if promise.applies(column, mode)]
        why = {mode: self._outcomes[test, column.id, mode] for mode in asked}
        kept = [mode for mode in asked if why[mode] is None]
        notes = sorted({self._note(reason) for reason in why.values() if reason is not None})
        marks = "".join(f" [{number}]" for number in notes)
        if not asked:
            return "-"
        return ("yes" if len(kept) == len(MODES) else kept[0] if kept else "no") + marks

    def _note(self, reason: str) -> int:
        if reason not in self._notes:
            self._notes.append(reason)
        return self._notes.index(reason) + 1


class MatrixWriter:
    """Gathers the outcomes of a run and writes the page; registered where STREAMKIT_WRITE_DOCS is 1."""

    def __init__(self) -> None:
        self._outcomes: Outcomes = {}
        self._failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of one test."""
        cell = dict(report.user_properties).get(CELL)
        if cell is None or report.when == "teardown":
            return
        if report.failed:
            self._failed.append(report.nodeid)
        elif report.when == "call":
            test = report.nodeid.partition("::")[2].partition("[")[0]
            column, mode = str(cell).split(" ")
            self._outcomes[test, column, mode] = getattr(report, "wasxfail", None)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Write the page, or say why not."""
        lacking = declared().keys() - self._outcomes.keys()
        if self._failed or lacking:
            terminalreporter.write_line(
                f"docs/contract.md was not written: {len(self._failed)} failed, {len(lacking)} cells without an outcome"
            )
        else:
            PAGE.write_text(Page(self._outcomes).render())
            terminalreporter.write_line("docs/contract.md was written")


def register(config: pytest.Config) -> None:
    """Register the writer where it is asked for, in the process that sees all reports."""
    if os.environ.get(WRITE) == "1" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(MatrixWriter(), "contract-matrix")
