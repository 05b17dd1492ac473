"""Fixtures of the examples: headless Chromium, and the examples as running servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.examples.running import FOLDERS, Example
from tests.rig.browser import headless_chromium
from tests.rig.requirements import needs

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_SHARED = {"chromium", "example", "flask_example", "fastapi_example"}
_PARTS = {"flask": ("flask", "httpx"), "django": ("django", "httpx"), "fastapi": ("fastapi", "uvicorn", "httpx")}

EXAMPLES = [pytest.param(name, marks=needs(*parts)) for name, parts in _PARTS.items()]


@pytest.hookimpl(tryfirst=True)  # before xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a module that share a running example together, since each worker starts its own."""
    for item in items:
        shared = _SHARED.intersection(item.fixturenames) if isinstance(item, pytest.Function) else ()
        if shared and item.path.parent == Path(__file__).parent:
            name = item.callspec.params.get("example", "one") if hasattr(item, "callspec") else "one"
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem} {name}"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start one headless Chromium for the tests of a module."""
    with headless_chromium() as browser:
        yield browser


@pytest.fixture(scope="module", params=EXAMPLES)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Run each example as its README says."""
    with Example(request.param, tmp_path_factory.mktemp(request.param) / "log") as example:
        yield example


@pytest.fixture(scope="module")
def flask_example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Run one example, for what is the same in all: the pages are identical files."""
    with Example("flask", tmp_path_factory.mktemp("flask") / "log") as example:
        yield example


@pytest.fixture
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Example]]:
    """Run all three examples side by side."""
    running = [Example(name, tmp_path_factory.mktemp(name) / "log") for name in FOLDERS]
    try:
        for example in running:
            example.start()
        yield running
    finally:
        for example in running:
            example.kill()
