"""The pages of the examples as a user works them: by keyboard, with an eye on the console."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from tests.examples.running import Example

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage

# What Chromium itself reports of a connection that fails; the pages can neither cause nor prevent it.
_NETWORK = "net::ERR_"


class Window:
    """One page of an example in a window of its own.

    `complaints` is what its console said at the level of errors and warnings, `failures` the failed connections.
    """

    def __init__(self, browser: Browser, example: Example, path: str = "/", *, width: int = 1280) -> None:
        self.example = example
        self.complaints: list[str] = []
        self.failures: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 740})
        self.page.set_default_timeout(15_000)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(example.url + path)
        self.wait_for("document.activeElement !== document.body")  # every page has a place where one begins

    def _note(self, entry: ConsoleMessage) -> None:
        if _NETWORK in entry.text:
            self.failures.append(entry.text)
        elif entry.type in ("error", "warning"):
            self.complaints.append(entry.text)

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def ask(self, question: str) -> None:
        """Type a question where the focus is, and send it."""
        self.page.keyboard.type(question)
        self.press("Enter")

    def wait_for(self, condition: str) -> None:
        """Wait until an expression of JavaScript is true, or say what the page shows instead."""
        from playwright.sync_api import TimeoutError as Late

        try:
            self.page.wait_for_function(condition, polling=20)
        except Late:
            shown = self.page.locator("main").inner_text()[-300:]
            raise AssertionError(f"{condition} is not so: {self.status()!r}, {shown!r}, {self.failures}") from None

    def answer(self) -> str:
        """Return the text of the last answer as it is shown now."""
        return cast("str", self.page.evaluate("[...document.querySelectorAll('.answer')].at(-1)?.textContent ?? ''"))

    def status(self) -> str:
        """Return the line that says how it stands."""
        return self.page.locator(".status").inner_text()

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return cast("int", self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


STARTED = "document.querySelector('.answer')?.textContent.length > 0"
COMPLETE = "document.querySelector('.answer') && !document.querySelector('.answer[aria-busy=true]')"


@contextmanager
def window(browser: Browser, example: Example, path: str = "/", *, width: int = 1280) -> Iterator[Window]:
    """Open a page; at the end close it and see that its console said nothing."""
    opened = Window(browser, example, path, width=width)
    try:
        yield opened
        assert opened.complaints == []
    finally:
        opened.page.close()
