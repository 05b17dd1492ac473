"""No page that is shown to be copied puts streamed text where a browser would run it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML|createContextualFragment|srcdoc"
    r"|\beval\(|new Function\(|setHTMLUnsafe|\|\s*safe\b|mark_safe|Markup\(|autoescape"
)
FENCE = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)


def test_examples_show_what_is_streamed_as_text() -> None:
    """Their pages append text; their templates escape."""
    files = [
        path
        for path in (ROOT / "examples").rglob("*")
        if path.suffix in {".html", ".js", ".jsx", ".py"} and "node_modules" not in path.parts
    ]
    assert {path.suffix for path in files} == {".html", ".js", ".jsx", ".py"}
    assert [str(path.relative_to(ROOT)) for path in files if RUNS.search(path.read_text(encoding="utf-8"))] == []


def test_blocks_of_the_docs_show_what_is_streamed_as_text() -> None:
    """So does what a reader copies from a page."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    blocks = [(page, block) for page in pages for block in FENCE.findall(page.read_text(encoding="utf-8"))]
    assert len(blocks) > 100
    assert [f"{page.name}: {block}" for page, block in blocks if RUNS.search(block)] == []
