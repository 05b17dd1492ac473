"""docs/security.md: each attack names the tests that hold it, and each of these is one that pytest runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
THREATS = [part for part in TEXT.split("\n## ")[1:] if "*Who:*" in part]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)+)`", TEXT)))


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.partition("\n")[0])
def test_each_attack_says_who_what_and_which_test(threat: str) -> None:
    """In this order; what is left to the reader may be nothing."""
    parts = re.findall(r"^\*(Who|streamkit|Left to you|Tests):\*", threat, re.MULTILINE)
    assert [part for part in parts if part != "Left to you"] == ["Who", "streamkit", "Tests"]
    tests = threat.partition("*Tests:*")[2]
    assert re.sub(r"`tests/[\w/]+\.py(?:::\w+)+`,?", "", tests).strip() == "", "not the name of a test"


@pytest.mark.timeout(300)  # what it starts imports half the suite
def test_each_test_that_is_named_is_run() -> None:
    """None was renamed, or moved among those that `make soak` alone runs."""
    assert len(THREATS) > 15
    assert len(NAMED) > 60
    options = ["--collect-only", "-q", "-p", "no:cacheprovider", "-m", "not soak"]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *NAMED],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]
    collected = {line.partition("[")[0] for line in found.stdout.splitlines()}
    assert set(NAMED) - collected == set()
