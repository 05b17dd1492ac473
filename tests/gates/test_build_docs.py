"""The builder of the site places every page, leads links where the site has them, and finds what leads nowhere."""

from pathlib import Path

import build_docs
import pytest

PLACES = {
    "docs/llm.md": "llm.md",
    "docs/deploy/README.md": "deploy/README.md",
    "docs/deploy/nginx.md": "deploy/nginx.md",
    "docs/deploy/nginx/inner.conf": "deploy/nginx/inner.conf",
    "examples/flask/README.md": "examples/flask/README.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
}


def test_pages_stand_in_the_order_of_the_patterns() -> None:
    """The longest pattern that matches has the page, wherever it stands."""
    pages = ["how-to/migrating-from-x.md", "how-to/b.md", "how-to/a.md", "deploy/a.md", "deploy/README.md", "index.md"]
    assert build_docs.navigation(pages) == [
        {"Start": ["index.md"]},
        {"How to": ["how-to/a.md", "how-to/b.md"]},
        {"Migrating": ["how-to/migrating-from-x.md"]},
        {"Deploying": ["deploy/README.md", "deploy/a.md"]},
    ]


def test_page_without_a_place_is_refused() -> None:
    """A new folder needs a line in NAVIGATION."""
    with pytest.raises(ValueError, match=r"^recipes/cake\.md has no place in NAVIGATION"):
        build_docs.navigation(["index.md", "recipes/cake.md"])


@pytest.mark.parametrize(
    ("link", "source", "place"),
    [
        ("https://example.com/docs/llm.md", "docs/llm.md", "https://example.com/docs/llm.md"),
        ("#here", "docs/llm.md", "#here"),
        ("deploy/nginx.md#inner", "docs/llm.md", "deploy/nginx.md#inner"),
        ("nginx/inner.conf", "docs/deploy/nginx.md", "nginx/inner.conf"),
        ("../examples/flask/README.md", "docs/llm.md", "examples/flask/README.md"),
        ("../../examples/flask", "docs/deploy/nginx.md", "../examples/flask/README.md"),
        ("../CHANGELOG.md#1-0", "docs/llm.md", "changelog.md#1-0"),
        ("docs/llm.md", "CHANGELOG.md", "llm.md"),
        ("README.md", "CHANGELOG.md", "index.md"),
        ("../tests/conftest.py", "docs/llm.md", None),
        ("missing.md", "docs/llm.md", "missing.md"),
    ],
)
def test_link_leads_where_the_site_has_its_target(link: str, source: str, place: str | None) -> None:
    """What the site lacks is None; what is missing below docs/ is left for the generator to find."""
    assert build_docs.moved(link, source, PLACES) == place


def test_link_without_a_target_becomes_its_text_and_code_is_left_alone() -> None:
    """A test that a page names is read, not opened."""
    text = "See [`the test`](../tests/a.py) and [it](a.md).\n\n```md\n[x](../tests/a.py)\n```\n\n![y](../tests/y.svg)\n"
    linked = build_docs.relinked(text, lambda link: None if "tests" in link else "b.md")
    assert linked == text.replace("[`the test`](../tests/a.py)", "`the test`", 1).replace("(a.md)", "(b.md)")


def test_broken_links_of_built_pages_are_named(tmp_path: Path) -> None:
    """A page, an anchor or a file that is not there; whatever is elsewhere is not asked for."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "index.html").write_text('<h2 id="here">x</h2><a href="../#gone">x</a><img src="no.svg">')
    (tmp_path / "index.html").write_text(
        '<a href="a/#here">x</a><a href="b/">x</a><a href="https://example.com/">x</a>'
    )
    assert sorted(build_docs.broken(tmp_path)) == [
        "a/index.html: ../#gone has no such anchor",
        "a/index.html: no.svg leads nowhere",
        "index.html: b/ leads nowhere",
    ]


def test_public_name_that_the_built_reference_lacks_is_named(tmp_path: Path) -> None:
    """An error of `streamkit` counts where all errors are explained."""
    page = tmp_path / "reference" / "index.html"
    page.parent.mkdir()
    page.write_text('<h2 id="streamkit.Event"></h2><h2 id="streamkit.errors.DecodeError"></h2>')
    found = list(build_docs.unexplained(tmp_path))
    assert "streamkit.EventStream is not in the built reference" in found
    assert "streamkit.channels.redis.RedisLog is not in the built reference" in found
    assert not [
        line for line in found if line.startswith(("streamkit.Event ", "streamkit.DecodeError ", "streamkit._"))
    ]
