"""The pages that a reader is shown, and the blocks of code in them.

A block is what stands between two fences, wherever it is indented. What a test does with one is the test's matter; that
every block has a test is the matter of `test_every_block`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
SERVER = re.compile(r"(?:^|`)((?:uvicorn|gunicorn|hypercorn|granian) [^`\n]*app:app[^`\n]*)", re.MULTILINE)


class Block(NamedTuple):
    """A block of code: its page below the root of the repository, its language, its text without indentation."""

    page: str
    language: str
    text: str


def pages() -> list[Path]:
    """Return every page: those of the root, of docs/ and of the examples."""
    return sorted(
        page
        for names in ("*.md", ".github/**/*.md", "docs/**/*.md", "examples/*.md", "examples/*/*.md")
        for page in ROOT.glob(names)
    )


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page, from its first line to its last."""
    name = page.relative_to(ROOT).as_posix()
    for _, language, text in FENCE.findall(page.read_text(encoding="utf-8")):
        yield Block(name, language, textwrap.dedent(text))


def commands(page: Path) -> Iterator[str]:
    """Yield the commands of the shell blocks of a page, whole where they go over several lines."""
    for block in blocks(page):
        if block.language == "sh":
            yield from block.text.replace("\\\n", " ").splitlines()


def server_commands(page: Path) -> list[str]:
    """Return the commands of a page that start a server with `app:app`, in blocks and in lines."""
    return SERVER.findall(page.read_text(encoding="utf-8"))
