"""The coverage gate wants the pure core whole and 95 % of the rest, and names the lines that no test takes."""

import json
from pathlib import Path
from typing import Any

import check_coverage
import pytest


def file(*, covered: int, lines: tuple[int, ...] = (), branches: tuple[tuple[int, int], ...] = ()) -> dict[str, Any]:
    """Describe one file as `coverage json` does: `covered` lines were run, `lines` and `branches` were not."""
    return {
        "summary": {
            "covered_lines": covered,
            "num_statements": covered + len(lines),
            "covered_branches": 0,
            "num_branches": len(branches),
            "percent_covered": 100 * covered / (covered + len(lines) + len(branches)),
        },
        "missing_lines": list(lines),
        "missing_branches": [list(branch) for branch in branches],
    }


def failures(branch_coverage: bool = True, **files: dict[str, Any]) -> list[str]:
    """Check a report over `files`, module path (`__` for a slash) to description."""
    described = {f"streamkit/{name.replace('__', '/')}.py": data for name, data in files.items()}
    return list(check_coverage.check({"meta": {"branch_coverage": branch_coverage}, "files": described}))


def test_suite_that_takes_every_line_passes() -> None:
    """Nothing missing, nothing said."""
    assert failures(sse=file(covered=99), _engine__pump=file(covered=99)) == []


def test_line_of_the_pure_core_that_no_test_takes_fails() -> None:
    """One in a thousand is enough."""
    assert failures(sse=file(covered=999, lines=(7,))) == [
        "streamkit/sse.py: the pure core is covered whole, but no test takes lines 7"
    ]


def test_branch_of_the_pure_core_that_no_test_takes_fails() -> None:
    """Lines alone do not satisfy the gate."""
    assert failures(_json=file(covered=999, branches=((7, 9), (8, -1)))) == [
        "streamkit/_json.py: the pure core is covered whole, but no test takes branches 7->9, 8->exit"
    ]


def test_rest_may_leave_out_five_percent() -> None:
    """What servers and signals do can not always be arranged."""
    assert failures(_engine__pump=file(covered=95, lines=(1, 2, 3, 4, 5))) == []


def test_rest_below_95_percent_fails_with_its_lines() -> None:
    """The files that fall short are listed before the sum."""
    assert failures(
        asgi=file(covered=10), _engine__pump=file(covered=84, lines=(1, 2, 3, 4, 5), branches=((9, 11),))
    ) == [
        "streamkit/_engine/pump.py: 93.3 %: no test takes lines 1, 2, 3, 4, 5; branches 9->11",
        "streamkit outside its pure core: 94.0 % is covered, 95 % is the least",
    ]


def test_report_without_branches_fails() -> None:
    """A gate over branches needs them measured."""
    assert failures(branch_coverage=False, sse=file(covered=1)) == ["coverage was measured without branches"]


def test_exit_status_tells_whether_too_little_is_covered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Make and CI look at nothing else."""
    report = tmp_path / "coverage.json"
    monkeypatch.setattr("sys.argv", ["check_coverage.py", str(report)])
    data = file(covered=9, lines=(3,))
    for name, status in (("streamkit/sse.py", 1), ("streamkit/_engine/pump.py", 1)):
        report.write_text(json.dumps({"meta": {"branch_coverage": True}, "files": {name: data}}), encoding="utf-8")
        assert check_coverage.main() == status
        assert "lines 3" in capsys.readouterr().out
    report.write_text(json.dumps({"meta": {"branch_coverage": True}, "files": {}}), encoding="utf-8")
    assert check_coverage.main() == 0
