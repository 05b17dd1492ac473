"""The pages that live on a log, in several windows of headless Chromium; each window is a browser of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.examples.pages import COMPLETE, STARTED, Window, window
from tests.examples.running import Example, answer_to
from tests.rig.requirements import needs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

pytestmark = [pytest.mark.servers, pytest.mark.browser, needs("playwright", "chromium")]

QUESTION = "What happens when a connection drops?"
LOST = "document.querySelector('.status').textContent.startsWith('The rest of this answer is lost')"
SHOWN = "[...document.querySelectorAll('.news li')].map((item) => item.firstChild.textContent)"
LIVE = "document.querySelector('.status').textContent === 'Live.'"


def ask(page: Window) -> str:
    """Ask, and wait until the answer is under way; return the address that shows it."""
    page.ask(QUESTION)
    page.wait_for("document.querySelector('.answer').textContent.length > 60")
    return page.page.url.removeprefix(page.example.url)


class TestDetached:
    """The answer that needs no reader."""

    def test_answer_goes_on_in_another_browser(self, chromium: Browser, example: Example) -> None:
        """The first window is closed in mid-answer; who opens its address sees what was written, and the rest."""
        with window(chromium, example, "/detached") as first:
            address = ask(first)
            seen = first.answer()
        with window(chromium, example, address) as second:
            second.wait_for(STARTED)
            assert second.page.locator(".answer").get_attribute("aria-busy") == "true"
            second.wait_for(COMPLETE)
            assert second.answer() == answer_to(QUESTION)
            assert second.answer().startswith(seen)
            assert second.page.locator(".question").inner_text() == QUESTION
            assert second.status() == ""

    def test_two_browsers_see_the_same_answer_and_either_stops_it(self, chromium: Browser, example: Example) -> None:
        """Both end with the same words."""
        with window(chromium, example, "/detached") as first, window(chromium, example, ask(first)) as second:
            second.wait_for("document.querySelector('.answer').textContent.length > 60")
            second.page.locator("#stop").click()
            for page in (first, second):
                page.wait_for("document.querySelector('.status').textContent === 'Stopped.'")
            assert first.answer() == second.answer()
            assert answer_to(QUESTION).startswith(first.answer())
            assert len(first.answer()) < len(answer_to(QUESTION))

    def test_answer_of_a_killed_server_is_said_to_be_lost(self, chromium: Browser, example: Example) -> None:
        """SIGKILL leaves nobody who could record an end; the lease of the answer does."""
        with window(chromium, example, "/detached") as page:
            address = ask(page)
            example.kill()
            page.wait_for("document.querySelector('.status').textContent.startsWith('Connection lost')")
            seen = page.answer()
            example.start()
            page.page.set_default_timeout(30_000)
            page.wait_for(LOST)
            assert page.answer().startswith(seen)
            with window(chromium, example, address) as later:
                later.wait_for(LOST)
                assert later.answer() == page.answer()

    def test_address_without_an_answer_says_so(self, chromium: Browser, flask_example: Example) -> None:
        """The browser gives up at a 404, and the page can ask anew."""
        address = "/detached?key=00000000-0000-4000-8000-000000000000"
        with window(chromium, flask_example, address) as page:
            page.wait_for("document.querySelector('.status').textContent === 'There is no answer at this address.'")
            assert [complaint for complaint in page.complaints if "404" not in complaint] == []
            page.complaints.clear()
            ask(page)

    def test_back_leads_to_the_answer_before(self, chromium: Browser, flask_example: Example) -> None:
        """Each answer is a step in the browser's history, and is read again from the log."""
        with window(chromium, flask_example, "/detached") as page:
            for question in ("slow client", "six connections"):
                page.ask(question)
                page.wait_for(f"document.querySelector('.question').textContent === '{question}'")
                page.wait_for(COMPLETE)
            page.page.go_back()
            page.wait_for("document.querySelector('.question').textContent === 'slow client'")
            page.wait_for(COMPLETE)
            assert page.answer() == answer_to("slow client")


def shown(page: Window) -> list[str]:
    """Return the notifications of a page without their times, the newest first."""
    return [str(text) for text in page.page.evaluate(SHOWN)]


def wait_for_count(count: int, *pages: Window) -> None:
    """Wait until each page shows so many notifications, or more."""
    for page in pages:
        page.wait_for(f"document.querySelectorAll('.news li').length >= {count}")


def publish_elsewhere(example: Example, text: str) -> None:
    """Publish from a process of its own, which needs no server."""
    code = (
        "import sys; from streamkit.channels import Channels, SQLiteLog; Channels(SQLiteLog('notifications.db'))"
        ".publish_sync('notifications', {'text': sys.argv[1], 'time': '2026-11-26T12:00:00Z'})"
    )
    subprocess.run([sys.executable, "-c", code, text], cwd=example.folder, check=True, timeout=30)


class TestNotifications:
    """The list that is live in all browsers."""

    def test_each_page_shows_each_notification_once(self, chromium: Browser, example: Example) -> None:
        """Also what another process published while the server was killed, and what comes after its restart."""
        with (
            window(chromium, example, "/notifications") as first,
            window(chromium, example, "/notifications") as second,
        ):
            for page in (first, second):
                page.wait_for(LIVE)
            first.ask("one <b>")
            wait_for_count(1, first, second)
            example.kill()
            publish_elsewhere(example, "two")
            for page in (first, second):
                page.wait_for("document.querySelector('.status').textContent.startsWith('Connection lost')")
            example.start()
            wait_for_count(2, first, second)
            second.ask("three")
            wait_for_count(3, first, second)
            assert shown(first) == shown(second) == ["three", "two", "one <b>"]

    def test_page_misses_nothing_before_its_stream_is_open(self, chromium: Browser, flask_example: Example) -> None:
        """Its position is that of the moment when it was rendered: what was before is not shown, what came since is."""

        def meanwhile(route: Route) -> None:
            publish_elsewhere(flask_example, "meanwhile")
            route.continue_()

        publish_elsewhere(flask_example, "before")
        page = chromium.new_page()
        page.route("**/notifications/stream*", meanwhile)
        page.goto(flask_example.url + "/notifications")
        page.wait_for_selector(".news li")
        assert page.evaluate(SHOWN) == ["meanwhile"]
        page.close()

    def test_gap_is_shown(self, chromium: Browser, tmp_path: Path) -> None:
        """A log that was lost is not passed over: the page says where notifications are missing."""
        example = Example("flask", tmp_path / "log")
        with example, window(chromium, example, "/notifications") as page:
            page.wait_for(LIVE)
            page.ask("one")
            wait_for_count(1, page)
            example.kill()
            for file in example.folder.glob("notifications.db*"):
                file.unlink()
            example.start()
            wait_for_count(2, page)
            page.ask("two")
            wait_for_count(3, page)
            assert shown(page) == ["two", "Notifications are missing here: the log of the server was lost.", "one"]
