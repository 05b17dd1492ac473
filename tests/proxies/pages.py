"""What the pages of docs/deploy are checked by: their tables, made from what is declared, and their quotations.

A run with STREAMKIT_WRITE_DOCS=1 writes the tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.proxies.running import DEPLOY
from tests.proxies.setup import Setup
from tests.proxies.setups import SETUPS

BEGIN, END = "<!-- begin: what the tests see -->\n", "<!-- end -->"
_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
_COLUMNS = (
    "configuration",
    "small frames",
    "frames of 5 KB",
    "without streamkit's headers",
    "compressed for gzip",
    "a client leaves",
    "the app dies",
)
_COMPRESSES = {"nothing": "no", "bare": "without the headers", "all": "yes"}


def page(setup: Setup) -> Path:
    """Return the page that shows a setup: that of its product, or for a chain that of what is behind."""
    owner = SETUPS[setup.behind] if setup.behind else setup
    return DEPLOY / f"{owner.product.split()[0]}.md"


def table(path: Path) -> str:
    """Return the table of a page, one row for each configuration."""
    rows = [_row(setup) for setup in SETUPS.values() if page(setup) == path]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (_COLUMNS, ["---"] * len(_COLUMNS), *rows))


def write_table(path: Path) -> None:
    """Put the table of a page into it."""
    before, _, rest = path.read_text().partition(BEGIN)
    path.write_text(before + BEGIN + table(path) + END + rest.partition(END)[2])


def _row(setup: Setup) -> list[str]:
    if setup.cuts:
        held = "any silent" if setup.mechanism == "idle-cut" else "any"
        return [_name(setup), f"`{setup.mechanism}` of {held} stream, with {_changed(setup)}", *["-"] * 5]
    small = f"`{setup.mechanism}`" + (f"; NDJSON `{setup.ndjson}`" if setup.ndjson else "")
    bare = f"`{setup.meets(bare=True)}`" + (", `replayed`" if setup.replays else "")
    if (bulk := setup.meets(bare=True, bulk=True)) != setup.meets(bare=True):
        bare += f"; 5 KB `{bulk}`"
    leaving = "-" if setup.mechanism == "whole-body" else setup.leaving
    dies = "`truncated-clean`" if setup.crash_looks_clean else "cut"
    return [_name(setup), small, f"`{setup.meets(bulk=True)}`", bare, _COMPRESSES[setup.compresses], leaving, dies]


def _changed(setup: Setup) -> str:
    return ", ".join([f"`{' '.join(new.split())}`" for _, new in setup.changes] or [f"`{setup.arguments}`"])


def _name(setup: Setup) -> str:
    name = f"[`{setup.file}`]({setup.file})"
    if setup.product == "nginx 1.22":
        name += ", 1.22"
    if setup.behind:
        name += f" before [`{SETUPS[setup.behind].file}`]({SETUPS[setup.behind].file}), 1.22"
    if setup.changes and not setup.cuts:
        name += f" with {_changed(setup)}"
    return name


@dataclass(frozen=True)
class Quotation:
    """A block of code in a page, and the file it is taken from: the last one that the page links to before it."""

    page: Path
    language: str
    text: str
    file: Path | None

    def stands_in_file(self) -> bool:
        """Say whether its lines stand there, one after the other, whatever their indentation."""
        if self.file is None:
            return False
        quoted = _stripped(self.text)
        lines = _stripped(self.file.read_text())
        return any(lines[start : start + len(quoted)] == quoted for start in range(len(lines)))


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def quotations(path: Path) -> Iterator[Quotation]:
    """Yield the blocks of code of a page, commands for a shell aside."""
    parts = re.split(r"^```(\w*)\n(.*?)^```$", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    file = None
    for before, language, text in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        files = [path.parent / link for link in _LINK.findall(before)]
        file = next((found for found in reversed(files) if found.suffix != ".md" and found.is_file()), file)
        if language != "sh":
            yield Quotation(path, language, text, file)


def links(path: Path) -> Iterator[Path]:
    """Yield the files of this repository that a page links to, whether they are there or not."""
    for link in _LINK.findall(path.read_text()):
        if "://" not in link:
            yield (path.parent / link).resolve()
