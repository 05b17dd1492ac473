"""What a run of the chaos tests has counted is shown at its end, also where they ran in other processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

FIGURES = "figures"

Record = Callable[[str, object], None]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures of each test."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, value in report.user_properties:
                if name == FIGURES:
                    terminalreporter.write_line(value)
