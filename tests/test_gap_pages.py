"""docs/channels.md and docs/resume.md: their pages in a browser, with the apps of their own blocks.

Each shows what is published, and loads itself again when events are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.pages import ROOT, blocks
from tests.rig.browser import headless_chromium
from tests.rig.requirements import needs
from tests.test_how_to import run
from tests.test_readme import served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

pytestmark = [
    pytest.mark.servers,
    pytest.mark.browser,
    pytest.mark.xdist_group("gap pages"),
    needs("flask", "playwright", "chromium"),
]

SHOW = "<script>window.shown = []; const show = (order) => shown.push(order.number)</script>"
RELOADED = "performance.getEntriesByType('navigation')[0].type === 'reload'"
BEGUN = "source.addEventListener('cursor', () => { window.begun = true })\n</script>"


def blocks_of(page: str, language: str) -> list[str]:
    """Return the blocks of a page in one language."""
    return [block.text for block in blocks(ROOT / "docs" / page) if block.language == language]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run one browser for both pages."""
    with headless_chromium() as browser:
        yield browser


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the logs in a directory of their own."""
    monkeypatch.chdir(tmp_path)


def elsewhere(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in another thread: this one has the event loop of Playwright."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result(20)


def test_page_of_channels_reloads_at_a_gap(browser: Browser) -> None:
    """A browser that comes back with an id which the log does not know loads the page again, and sees what is new."""
    (page_text,) = blocks_of("channels.md", "html")
    python = blocks_of("channels.md", "python")
    names = run(python[0], next(block for block in python if "Flask(" in block))
    app, channels = names["app"], names["channels"]
    ids = iter(["garbage"])

    def come_back(route: Route) -> None:
        last = {"Last-Event-ID": last} if (last := next(ids, "")) else {}
        route.continue_(headers={**route.request.headers, **last})

    app.add_url_rule("/", "page", lambda: SHOW + page_text.replace("</script>", BEGUN))
    with served(app) as url:
        page = browser.new_page()
        page.route("**/orders", come_back)
        page.goto(url)
        page.wait_for_function("window.begun", timeout=20_000)  # by a cursor, which no stream with a gap begins with
        elsewhere(channels.publish_sync, "orders", {"number": 7})
        page.wait_for_function("window.shown?.includes(7)", timeout=20_000)
        page.close()
    elsewhere(channels.close)


def test_page_of_resume_goes_on_where_it_was_rendered(browser: Browser) -> None:
    """With a position that the log does not know it is loaded again; with its own it misses nothing."""
    from flask import render_template_string

    (page_text,) = blocks_of("resume.md", "html")
    names = run(blocks_of("resume.md", "python")[0])
    app, channels = names["app"], names["channels"]
    positions = iter(["garbage", elsewhere(channels.position_sync, "orders")])

    def show() -> str:
        return SHOW + render_template_string(page_text, position=next(positions))

    app.add_url_rule("/", "page", show)
    elsewhere(channels.publish_sync, "orders", {"number": 7})  # after the position, before the page
    with served(app) as url:
        page = browser.new_page()
        page.goto(url)
        page.wait_for_function(f"{RELOADED} && window.shown?.includes(7)", timeout=20_000)
        assert list(positions) == []
        page.close()
    elsewhere(channels.close)
