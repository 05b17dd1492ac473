"""CONTRIBUTING.md and SECURITY.md: what they send a newcomer to is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^(\w+):", MAKEFILE, re.MULTILINE))
BLOCKS = re.findall(r"^ *```sh\n(.*?)^ *```$", TEXT, re.DOTALL | re.MULTILINE)
PAGES = ["CONTRIBUTING.md", "SECURITY.md", ".github/PULL_REQUEST_TEMPLATE.md", "docs/security.md"]
PLACES = r"(?:\.ci|streamkit|tests|docs|examples|benchmarks)/[\w./-]+|\w+\.(?:md|toml)"


@pytest.mark.parametrize("page", PAGES)
def test_each_path_and_link_leads_somewhere(page: str) -> None:
    """A path with NAME in it is one to be made, beside others."""
    text = (ROOT / page).read_text(encoding="utf-8")
    paths = re.findall(rf"`({PLACES})`", text)
    links = [(ROOT / page).parent / link for link in re.findall(r"\]\((?!https?:)([^)#]+)", text)]
    assert paths or links
    found = [ROOT / path if "NAME" not in path else (ROOT / path).parent for path in paths] + links
    assert [str(path) for path in found if not path.exists()] == []


def test_each_command_is_one() -> None:
    """Targets of make, tests by their paths, and programs that are there or installed by the line before."""
    made = set(re.findall(r"`make (\w+)`", TEXT))
    tried: list[str] = []
    for line in "".join(BLOCKS).splitlines():
        program, *arguments = line.split()
        if program == "make":
            made |= set(arguments)
        elif program == ".venv/bin/python":
            tried += [argument for argument in arguments if argument.startswith("tests/")]
        else:
            assert program == "python" or f" {program}" in TEXT.partition("pip install")[2]
    assert made == TARGETS - {"check", "clean"}
    assert len(tried) > 6
    assert [path for path in tried if not (ROOT / path).exists()] == []


def test_each_name_is_in_the_file_that_is_said_to_have_it() -> None:
    """A step that says where to add a line says what it is called there."""
    named = re.findall(r"`(\w+)` in `([\w./-]+\.py)`", TEXT)
    assert len(named) > 4
    assert [(name, path) for name, path in named if name not in (ROOT / path).read_text(encoding="utf-8")] == []


def test_changelog_has_what_is_unreleased_first() -> None:
    """And knows the version that the project has."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert re.findall(r"^## \[(.+)\]", text, re.MULTILINE)[0] == "Unreleased"
    assert version in text
