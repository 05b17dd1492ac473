"""Each block of the docs is broken in a copy of the repository, and the tests that are said to run it fail.

`make soak` alone: each block takes as long as its tests.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.pages import FENCE, ROOT, Block, blocks
from tests.test_every_block import NOT_RUN, PAGES


def is_run(block: Block) -> bool:
    """Say whether a test runs a block."""
    begins, _ = NOT_RUN.get((block.page, block.language or "plain"), ((), ""))
    return block.text.split()[0] not in begins


def broken(block: Block) -> str:
    """Return the text of a block with a fault that nobody who runs it can miss."""
    text = block.text
    if ">>> " in text:
        return f"{text.rstrip()}\n>>> 1 / 0\n\n"
    if block.language == "html":
        return text.replace("</script>", " )(</script>") if "</script>" in text else "<p>broken</p>\n"
    faults = {"python": 'raise SystemError("broken")\n', "js": ")(\n", "jsx": ")(\n"}
    if block.language == "sh":
        return f"{text.rstrip()} --broken\n"
    return text + faults.get(block.language, "broken\n")


def outcome(tests: tuple[str, ...], root: Path) -> int:
    """Run tests of a copy of the repository; return pytest's exit code."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=root, stdout=subprocess.DEVNULL, timeout=400, check=False).returncode


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what git knows of."""
    root = tmp_path_factory.mktemp("copy")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, root / name)
    return root


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if any(map(is_run, blocks(ROOT / name)))])
def test_broken_block_fails_a_test(name: str, copy: Path) -> None:
    """Whichever block of a page it is: the tests that run it pass while it is whole, and fail while it is broken."""
    page, tests = ROOT / name, PAGES[name].tests
    text = page.read_text(encoding="utf-8")
    assert outcome(tests, copy) == 0
    unseen = []
    for place, block in zip(FENCE.finditer(text), blocks(page), strict=True):
        if is_run(block):
            fault = textwrap.indent(broken(block), place[1])
            (copy / name).write_text(text[: place.start(3)] + fault + text[place.end(3) :], encoding="utf-8")
            if outcome(tests, copy) not in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}:
                unseen.append(block.text)
    (copy / name).write_text(text, encoding="utf-8")
    assert unseen == []
