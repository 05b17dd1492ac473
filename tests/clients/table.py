"""docs/clients.md: rendered from outcomes, of a run or of what is declared, as tests/contract/matrix.py does its page.

A run with STREAMKIT_WRITE_DOCS=1 writes the page, if every client has met every trap on every site and nothing failed;
the versions are those that ran. Any other run compares the page with what is declared, and takes its versions as given:
a new release of a client that passes changes nothing.
"""

from __future__ import annotations

import os
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.clients.declared import CLIENTS, EVENTS, MODELS, SITES, TRAPS, VALUES, Client, Framework
from tests.contract.matrix import WRITE
from tests.rig import node
from tests.rig.requirements import executable

CELL = "clients cell"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
TEXT = Path(__file__).with_name("introduction.md")

WHOLE = {"tokens", "separators", "silence", "retry"}

Outcomes = dict[tuple[Framework, str, str], str]
Versions = dict[str, str]


def declared() -> Outcomes:
    """Return the outcomes that a green run must have."""
    return {
        (framework, client.name, trap): client.expected(trap)
        for framework in SITES
        for client in CLIENTS.values()
        for trap in client.traps
    }


def render(outcomes: Outcomes, versions: Versions) -> str:
    """Return the page."""
    traps = [f"- **{name}**: {text}" for name, text in TRAPS.items()]
    parts = [
        TEXT.read_text(encoding="utf-8"),
        *("## The traps", "", *traps, ""),
        *_table("Event streams", EVENTS, outcomes, versions),
        *_table("SDKs of language models", MODELS, outcomes, versions),
        *_table("NDJSON and JSON text sequences", VALUES, outcomes, versions),
        *("## What each client needs", "", "Besides what is done for it; measured, or read in its source.", ""),
        *[f"- **{client.name}**: {client.needs}" for client in CLIENTS.values()],
    ]
    return "\n".join(parts) + "\n"


def _table(title: str, clients: list[Client], outcomes: Outcomes, versions: Versions) -> list[str]:
    ends = [trap for trap in ("bare", "error", "cut", "closed") if trap in clients[0].traps]
    lines = [
        *(f"## {title}", ""),
        f"| client | version | {' | '.join(SITES)} | {' | '.join(ends)} |",
        f"|---|---|{'---|' * (len(SITES) + len(ends))}",
    ]
    for client in clients:
        passes = [_passes(client, framework, outcomes) for framework in SITES]
        how = [_alike(client, trap, outcomes) for trap in ends]
        lines.append(f"| {' | '.join([client.name, versions[client.name], *passes, *how])} |")
    return [*lines, ""]


def _passes(client: Client, framework: Framework, outcomes: Outcomes) -> str:
    whole = [outcomes[framework, client.name, trap] for trap in client.traps if trap in WHOLE]
    return "yes" if set(whole) == {"pass"} else "no"


def _alike(client: Client, trap: str, outcomes: Outcomes) -> str:
    """Return what a client makes of a trap; by framework, if they differ."""
    if trap not in client.traps:
        return "-"
    found = {framework: outcomes[framework, client.name, trap] for framework in SITES}
    alike = {"exact" if text == "pass" else text for text in found.values()}
    return alike.pop() if len(alike) == 1 else "; ".join(f"{name}: {text}" for name, text in found.items())


def versions_of_run() -> Versions:
    """Return the versions that are installed."""
    return {client.name: _version(*client.package.split(" ", 1)) for client in CLIENTS.values()}


def versions_of_page(page: str) -> Versions:
    """Return the versions that a page names."""
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return {row[0].removeprefix("| "): row[1] for row in rows}


def _version(source: str, name: str) -> str:
    if source == "pip":
        return metadata.version(name)
    if source == "npm":
        return node.version(name)
    said = subprocess.run([str(executable(name)), "--version"], check=True, capture_output=True, text=True).stdout
    # "Chromium 150.0.7 built on …", "jq-1.6", "v24.1.0"
    return next(word.strip("jqv-") for word in said.split() if any(char.isdigit() for char in word))


class TableWriter:
    """Gathers the outcomes of a run and writes the page; registered where STREAMKIT_WRITE_DOCS is 1."""

    def __init__(self) -> None:
        self._outcomes: Outcomes = {}
        self._failed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of one test."""
        cell = dict(report.user_properties).get(CELL)
        if isinstance(cell, tuple | list) and report.when == "call":
            self._failed += report.failed
            framework, name, trap, found = cell
            self._outcomes[framework, name, trap] = found

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Write the page, or say why not."""
        lacking = declared().keys() - self._outcomes.keys()
        if self._failed or lacking:
            terminalreporter.write_line(
                f"docs/clients.md was not written: {self._failed} failed, {len(lacking)} cells without an outcome"
            )
        else:
            PAGE.write_text(render(self._outcomes, versions_of_run()), encoding="utf-8")
            terminalreporter.write_line("docs/clients.md was written")


def register(config: pytest.Config) -> None:
    """Register the writer where it is asked for, in the process that sees all reports."""
    if os.environ.get(WRITE) == "1" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(TableWriter(), "clients-table")
