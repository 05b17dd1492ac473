"""docs/reference/ lists what the public modules promise, no more and no less, and what it adds by hand is so."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import build_docs
import pytest

from streamkit import errors, wsgi
from tests.rig.requirements import needs
from tests.test_how_to import BLOCK, run

ROOT = Path(__file__).parents[1]
PAGES = {page.name: page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference").glob("*.md")}
# A module's own docstring, and the arguments that all responses share, stand without a heading.
DIRECTIVE = re.compile(r"^::: (\S+)\n(?!    options: .*show_root_heading: false)", re.MULTILINE)


def promised() -> set[str]:
    """Return the public names of all public modules: their `__all__`, and all errors where errors are explained."""
    source = ast.parse((ROOT / "streamkit" / "errors.py").read_text(encoding="utf-8"))
    explained = {node.name for node in source.body if isinstance(node, ast.ClassDef)}
    names = {f"streamkit.errors.{name}" for name in explained}
    for path in sorted((ROOT / "streamkit").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if "._" not in module:
            names |= {f"{module}.{name}" for name in build_docs.public(module) if name not in explained}
    return names


def test_reference_lists_what_the_modules_promise() -> None:
    """Each name once, and no name that is not public."""
    listed = [name for text in PAGES.values() for name in DIRECTIVE.findall(text)]
    assert len(listed) > 100
    assert len(listed) == len(set(listed))
    assert set(listed) == promised()


def test_core_page_names_the_errors_that_streamkit_has_itself() -> None:
    """They can be imported from there too."""
    named = re.findall(r"^- \[`(\w+)`\]\[streamkit\.errors\.\1\]$", PAGES["streamkit.md"], re.MULTILINE)
    assert sorted(named) == sorted(name for name in build_docs.public("streamkit") if hasattr(errors, name))


def test_every_module_with_a_page_is_in_the_index() -> None:
    """The table of the index links each page."""
    assert set(re.findall(r"\]\((\w[\w-]*\.md)\)", PAGES["README.md"])) == PAGES.keys() - {"README.md"}


def test_table_of_responses_has_their_media_types() -> None:
    """Each class of an adapter has a row."""
    rows = dict(re.findall(r"^\| `(\w+Response)` \| .* \| `?(.*?)`? \|$", PAGES["responses.md"], re.MULTILINE))
    assert rows.keys() == {name for name in wsgi.__all__ if name.endswith("Response")}
    assert rows.pop("NegotiatedResponse") == "that of the format"
    assert rows == {name: getattr(wsgi, name).format.media_type for name in rows}


def test_subclass_of_the_page_has_its_defaults() -> None:
    """The block runs, and its attributes are options."""
    (block,) = BLOCK.findall(PAGES["responses.md"])
    answer = run(block)["Answer"](["a"])
    assert answer.policy.keepalive == 5
    assert answer.end.event == "done"


@needs("click", "rich", "httpx")
@pytest.mark.parametrize("command", ["doctor", "tail"])
def test_help_of_a_command_is_what_the_page_shows(command: str) -> None:
    """Each option with its words; where lines break is the terminal's matter."""
    from click.testing import CliRunner

    from streamkit.doctor._cli import streamkit

    (shown,) = re.findall(
        rf"^```text\n\$ streamkit {command} --help\n(.*?)^```$", PAGES["doctor.md"], re.DOTALL | re.MULTILINE
    )
    printed = CliRunner().invoke(streamkit, [command, "--help"], prog_name="streamkit")
    assert "".join(printed.output.split()) == "".join(shown.split())
