"""The rig's Node: packages are there once for all, programs report, pages get one script."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rig import node
from tests.rig.requirements import needs

pytestmark = [pytest.mark.servers, needs("node"), pytest.mark.xdist_group("node")]


def test_program_imports_packages_and_prints(tmp_path: Path) -> None:
    """What it prints is the result, and its arguments are its own."""
    program = tmp_path / "parse.mjs"
    program.write_text(
        "import { createParser } from 'eventsource-parser'\n"
        "const parser = createParser({ onEvent: (event) => console.log(event.data) })\n"
        "parser.feed(process.argv[2])\n"
    )
    assert node.run_node(program, "data: one\n\ndata: two\n\n") == "one\ntwo\n"


def test_program_that_fails_is_a_failure_with_its_words(tmp_path: Path) -> None:
    """A test must not pass because Node has crashed."""
    program = tmp_path / "fail.mjs"
    program.write_text("throw new Error('no such luck')\n")
    with pytest.raises(AssertionError, match="no such luck"):
        node.run_node(program)


def test_bundle_is_one_script(tmp_path: Path) -> None:
    """It holds what it imports."""
    entry = tmp_path / "page.jsx"
    entry.write_text("import { useChat } from '@ai-sdk/react'\nconsole.log(<p>{typeof useChat}</p>)\n")
    made = node.bundle(entry, tmp_path / "page.js")
    assert "import " not in made.read_text().splitlines()[0]
    assert made.stat().st_size > 100_000


def test_version_is_that_of_the_package() -> None:
    """As installed, not as asked for."""
    assert node.version("htmx-ext-sse").startswith("2.")
