"""The pages of the examples in headless Chromium, served as their READMEs say."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.examples.pages import COMPLETE, STARTED, window
from tests.examples.running import Example, answer_to
from tests.rig.requirements import needs

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.servers, pytest.mark.browser, needs("playwright", "chromium")]

QUESTION = "What happens when a connection drops?"
UNSAFE = "Is the text of an answer safe to show?"

# Notes what an expression says at each change of an element, from before anything happens.
_WATCH = """
([selector, expression]) => {
  window.seen = [];
  new MutationObserver(() => seen.push(Function(`return ${expression}`)()))
    .observe(document.querySelector(selector), { attributes: true, childList: true, subtree: true });
}
"""
_ANSWER = "document.querySelector('.answer')?.textContent ?? ''"


class TestChat:
    """The chat page of each example."""

    def test_words_appear_one_by_one(self, chromium: Browser, example: Example) -> None:
        """Each state of the page is a word longer than the one before, and the last is the exact answer."""
        with window(chromium, example) as chat:
            chat.page.evaluate(_WATCH, ["#talk", _ANSWER])
            chat.ask(UNSAFE)
            chat.wait_for(COMPLETE)
            seen = chat.page.evaluate("seen")
            assert chat.answer() == answer_to(UNSAFE)
            assert len(seen) > 20
            assert all(later.startswith(earlier) for earlier, later in pairwise(seen))

    def test_answer_is_exact_after_the_server_was_killed(self, chromium: Browser, example: Example) -> None:
        """The browser comes back with the last id it has seen, to a server that knows nothing of it."""
        before = example.requests("/answer")
        with window(chromium, example) as chat:
            chat.ask(QUESTION)
            chat.wait_for("document.querySelector('.answer')?.textContent.length > 60")
            example.kill()
            chat.wait_for("document.querySelector('.status').textContent.startsWith('Connection lost')")
            assert 60 < len(chat.answer()) < len(answer_to(QUESTION))
            example.start()
            chat.wait_for(COMPLETE)
            assert chat.answer() == answer_to(QUESTION)
            assert chat.status() == ""
        assert example.requests("/answer") > before


@pytest.mark.timeout(90)
def test_ten_seconds_after_the_end_each_server_has_seen_one_request(chromium: Browser, examples: list[Example]) -> None:
    """The page has closed its EventSource: no browser comes back for an answer that it has."""
    with ExitStack() as stack:
        chats = [stack.enter_context(window(chromium, example)) for example in examples]
        for chat in chats:
            chat.ask("slow client")
        for chat in chats:
            chat.wait_for(COMPLETE)
        chats[0].page.wait_for_timeout(10_000)  # a browser that was not told of the end comes back after one second
        assert [example.requests("/answer") for example in examples] == [1, 1, 1]


class TestOtherPages:
    """The pages of the other features."""

    def test_posted_prompt_is_answered_word_by_word(self, chromium: Browser, example: Example) -> None:
        """The page reads the events of a POST."""
        with window(chromium, example, "/prompt") as prompt:
            prompt.press("Control+a")
            prompt.page.keyboard.type(UNSAFE)
            prompt.page.evaluate(_WATCH, [".answer", _ANSWER])
            prompt.press("Tab", "Enter")
            prompt.wait_for(STARTED)
            prompt.wait_for(COMPLETE)
            assert prompt.answer() == answer_to(UNSAFE)
            assert len(set(prompt.page.evaluate("seen"))) > 20
            assert prompt.status() == ""

    def test_job_moves_its_bar_and_shows_its_result(self, chromium: Browser, example: Example) -> None:
        """The bar stands between its ends for a while, then the number of primes is there."""
        with window(chromium, example, "/job") as job:
            job.page.evaluate(_WATCH, ["progress", "document.querySelector('progress').position"])
            job.press("Enter")
            job.wait_for("document.querySelector('.status').textContent === '41,538 primes.'")
            seen = job.page.evaluate("seen")
            assert len(set(seen)) > 10
            assert seen == sorted(seen)
            assert seen[-1] == 1

    def test_export_shows_every_row(self, chromium: Browser, example: Example) -> None:
        """The table is filled while rows arrive, and the last line says that it is complete."""
        with window(chromium, example, "/export") as export:
            export.press("Enter")
            export.wait_for("document.querySelector('.status').textContent.endsWith('complete.')")
            rows = export.page.locator("tbody tr")
            assert export.status() == f"{rows.count():,} rows, complete."
            assert rows.first.locator("td").all_inner_texts() == ["U+2190", "←", "LEFTWARDS ARROW"]


class TestOneForAll:
    """What is the same in all examples, since their pages are the same files."""

    def test_markup_in_an_answer_is_shown_as_text(self, chromium: Browser, flask_example: Example) -> None:
        """An element in the answer is read, never made; the same for the question."""
        with window(chromium, flask_example) as chat:
            chat.ask(f"<b>{UNSAFE}</b>")
            chat.wait_for(COMPLETE)
            assert "<img src=x onerror=alert(1)>" in chat.answer()
            assert chat.page.locator("#talk img, #talk b").count() == 0

    def test_second_question_is_answered_below_the_first(self, chromium: Browser, flask_example: Example) -> None:
        """The focus is back where one types, so that a talk needs no mouse."""
        with window(chromium, flask_example) as chat:
            for question in ("slow client", "six connections"):
                chat.ask(question)
                chat.wait_for(COMPLETE)
            assert chat.page.locator(".question").all_inner_texts() == ["slow client", "six connections"]
            assert chat.answer() == answer_to("six connections")

    def test_keyboard_alone_is_enough(self, chromium: Browser, flask_example: Example) -> None:
        """A suggestion is reached by Tab, an answer is stopped, and the focus is back at the question."""
        with window(chromium, flask_example) as chat:
            chat.press("Shift+Tab", "Shift+Tab", "Shift+Tab", "Enter")
            chat.wait_for(STARTED)
            chat.press("Tab")
            assert chat.page.evaluate("document.activeElement.id") == "stop"
            chat.press("Enter")
            assert chat.status() == "Stopped."
            assert len(chat.answer()) < len(answer_to(QUESTION))
            assert chat.page.evaluate("document.activeElement.name") == "q"

    def test_cancelled_job_stops(self, chromium: Browser, tmp_path: Path) -> None:
        """The second button ends the job, and it can be started again."""
        endless = Example("flask", tmp_path / "log", constants={"job.LIMIT": 20_000_000})
        with endless, window(chromium, endless, "/job") as job:
            job.press("Enter")
            job.wait_for("document.querySelector('progress').position > 0")
            job.press("Tab", "Enter")
            job.wait_for("document.querySelector('.status').textContent === 'Cancelled.'")
            assert job.page.evaluate("document.activeElement.textContent") == "Start"

    @pytest.mark.parametrize("width", [360, 1280])
    @pytest.mark.parametrize("path", ["/", "/prompt", "/job", "/export", "/detached", "/notifications"])
    def test_page_fits_its_window(self, chromium: Browser, flask_example: Example, path: str, width: int) -> None:
        """Nobody scrolls sideways, neither on a phone nor on a desk, whatever is written."""
        with window(chromium, flask_example, path, width=width) as page:
            assert page.overflow() == 0
            if path in ("/", "/detached"):
                page.ask("drops" + "x" * 400)
                page.wait_for(STARTED)
            elif path == "/notifications":
                page.ask("x" * 200)
                page.wait_for("document.querySelectorAll('.news li').length === 1")
            elif path != "/prompt":
                page.press("Enter")
                page.wait_for("document.querySelector('.status').textContent !== ''")
            assert page.overflow() == 0
