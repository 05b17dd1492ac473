"""atheris looks for inputs that break a target, led by which branches of the package each input reaches."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, Target
from tests.rig.requirements import needs
from tests.rig.servers import ROOT, UNMEASURED

SECONDS = 60
"""For each target."""

SLOWEST = 10
"""Seconds that one input may take."""

MEMORY = 1024
"""MiB that the process may have."""


def _seeds(target: Target, dice: random.Random) -> list[bytes]:
    """Make inputs from the words of a target, some of them cut into chunks."""
    made = []
    for number in range(50):
        body = b"".join(dice.choices(target.words, k=number))
        count = number % 4
        head = [count | number % 4 << 4, *dice.choices(range(1, 9), k=count)] if target.is_cut else []
        made.append(bytes(head) + body)
    return made


def _entry(word: bytes) -> str:
    """Write a word as a line of libFuzzer's dictionary."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'


def _look(name: str, home: Path, *, seconds: int) -> tuple[int, str, list[bytes]]:
    """Return the exit status, what was printed, and the inputs that broke the target."""
    corpus, found = home / "corpus", home / "found"
    corpus.mkdir()
    found.mkdir()
    for number, seed in enumerate(_seeds(TARGETS[name], random.Random(name))):
        (corpus / str(number)).write_bytes(seed)
    words = home / "words"
    words.write_text("".join(map(_entry, TARGETS[name].words)))
    options = (
        f"-max_total_time={seconds} -timeout={SLOWEST} -rss_limit_mb={MEMORY} -max_len=4096 -verbosity=1"
        f" -print_final_stats=1 -dict={words} -artifact_prefix={found}/ {corpus}"
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.atheris_run", name, *options.split()],
        check=False,
        cwd=ROOT,
        env={**os.environ, **UNMEASURED},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds + 60,
    )
    return done.returncode, done.stdout + done.stderr, [path.read_bytes() for path in sorted(found.iterdir())]


@pytest.mark.soak
@needs("atheris")
@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found_in_a_minute(name: str, tmp_path: Path) -> None:
    """An input that is found is printed, to become a test."""
    status, said, broke_by = _look(name, tmp_path, seconds=SECONDS)
    assert not broke_by, f"{name} is broken by {broke_by}\n{said[-4000:]}"
    assert status == 0, said[-4000:]
