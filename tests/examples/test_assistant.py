"""The page with useChat in headless Chromium, built of its package.json and served by each example."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.examples.conftest import EXAMPLES
from tests.examples.pages import COMPLETE, Window, window
from tests.examples.running import FOLDERS, Example, answer_to
from tests.rig.nginx import Nginx
from tests.rig.node import MANIFEST, packages
from tests.rig.requirements import executable, needs
from tests.rig.servers import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.servers, pytest.mark.browser, needs("playwright", "chromium", "node")]

SAFE = "Is the text of an answer safe to show?"
QUESTION = "What happens when a connection drops?"
# Slow enough that an answer is not over where a test does something in the middle of it, on a busy machine too.
PACE = {"assistant.PACE": 0.08}
LOST = "The server that wrote this answer has gone."

# Notes each state of the answer that is awaited, from before it is asked for.
_WATCH = """
() => {
  window.watching?.disconnect();
  window.seen = [];
  const before = document.querySelectorAll(".answer").length;
  window.watching = new MutationObserver(() => {
    const answer = document.querySelectorAll(".answer")[before];
    if (answer) seen.push(answer.textContent);
  });
  watching.observe(document.querySelector("#assistant"), { childList: true, subtree: true, characterData: true });
}
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the page's script once, by the command of the README, with the packages that the tests have installed."""
    npm, home = executable("npm"), tmp_path_factory.mktemp("page")
    assert npm is not None
    folder = shutil.copytree(
        FOLDERS["flask"] / "assistant", home / "assistant", ignore=shutil.ignore_patterns("node_modules")
    )
    (folder / "node_modules").symlink_to(packages() / "node_modules")
    path = os.pathsep.join([str(Path(npm).parent), os.environ.get("PATH", os.defpath)])
    subprocess.run([npm, "run", "build"], cwd=folder, env={**os.environ, "PATH": path}, check=True, timeout=60)
    return home / "static" / "assistant.js"


def built(example: Example, script: Path) -> Example:
    """Put the script where the page looks for it."""
    shutil.copy(script, example.folder / "static" / "assistant.js")
    return example


@pytest.fixture(scope="module", params=EXAMPLES)
def example(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, script: Path
) -> Iterator[Example]:
    """Run each example, with its page built."""
    with built(
        Example(request.param, tmp_path_factory.mktemp(request.param) / "log", constants=PACE), script
    ) as example:
        yield example


@pytest.fixture(scope="module")
def flask_example(tmp_path_factory: pytest.TempPathFactory, script: Path) -> Iterator[Example]:
    """Run one, for what is the page's own."""
    with built(Example("flask", tmp_path_factory.mktemp("flask") / "log", constants=PACE), script) as example:
        yield example


def ask(page: Window, length: int = 60) -> str:
    """Ask, and wait until so much of the answer is there; return the address of the chat."""
    page.ask(QUESTION)
    wait_for_answer(page, length)
    return page.page.url.removeprefix(page.example.url)


def wait_for_answer(page: Window, length: int) -> None:
    """Wait until the last answer is longer than that."""
    page.wait_for(f"([...document.querySelectorAll('.answer')].at(-1)?.textContent.length ?? 0) > {length}")


def wait_for_status(page: Window, text: str) -> None:
    """Wait until the status line begins with a text."""
    page.wait_for(f"document.querySelector('.status').textContent.startsWith({text!r})")


def test_page_is_tested_with_the_packages_that_it_asks_for() -> None:
    """Its package.json and that of the tests say the same of each."""
    asked = json.loads((FOLDERS["flask"] / "assistant" / "package.json").read_text(encoding="utf-8"))
    tested = json.loads(MANIFEST.read_text(encoding="utf-8"))["dependencies"]
    wanted = {**asked["dependencies"], **asked["devDependencies"]}
    assert {name: tested.get(name) for name in wanted} == wanted


class TestAnswer:
    """An answer in each example."""

    def test_answer_is_exact(self, chromium: Browser, example: Example) -> None:
        """Word by word, and two questions have two answers."""
        with window(chromium, example, "/assistant") as page:
            for question in ("slow client", SAFE):
                page.page.evaluate(_WATCH)
                page.ask(question)
                page.wait_for("seen.length > 20")
                page.wait_for(COMPLETE)
                assert page.answer() == answer_to(question)
                seen = page.page.evaluate("seen")
                assert all(later.startswith(earlier) for earlier, later in pairwise(seen))
            assert page.page.locator(".question").all_inner_texts() == ["slow client", SAFE]
            assert page.page.locator(".answer").count() == 2
            assert page.status() == ""

    def test_page_that_is_reloaded_shows_the_answer_once(self, chromium: Browser, example: Example) -> None:
        """In the middle of an answer: it is sent again from its start, and goes on."""
        with window(chromium, example, "/assistant") as page:
            ask(page)
            page.page.reload()
            wait_for_answer(page, 60)
            page.wait_for(COMPLETE)
            assert page.answer() == answer_to(QUESTION)
            assert page.page.locator(".answer").count() == page.page.locator(".question").count() == 1

    def test_stopped_answer_is_stopped_for_all(self, chromium: Browser, example: Example) -> None:
        """Another window, and the same after a reload, show as much of it, and that it was stopped."""
        with window(chromium, example, "/assistant") as page, window(chromium, example, ask(page)) as other:
            wait_for_answer(other, 60)
            page.page.locator("#stop").click()
            for one in (page, other):
                wait_for_status(one, "Stopped.")
            seen = page.answer()
            assert other.answer() == seen
            assert answer_to(QUESTION).startswith(seen)
            assert len(seen) < len(answer_to(QUESTION))
            page.page.reload()
            wait_for_status(page, "Stopped.")
            assert page.answer() == seen


class TestTrouble:
    """What the page shows when something is amiss; it is the same page in all examples."""

    def test_failure_is_shown(self, chromium: Browser, tmp_path: Path, script: Path) -> None:
        """After the first word the source fails; the page says so, and again after a reload."""
        failing = built(Example("flask", tmp_path / "log", constants={"assistant.PACE": "no number"}), script)
        with failing, window(chromium, failing, "/assistant") as page:
            page.ask(QUESTION)
            wait_for_status(page, "The answer could not be completed.")
            assert page.answer() == answer_to(QUESTION).split(" ", 1)[0] + " "
            page.page.reload()
            wait_for_status(page, "The answer could not be completed.")

    def test_page_without_its_script_says_how_to_build_it(self, chromium: Browser, tmp_path: Path) -> None:
        """As it is after a clone."""
        with Example("flask", tmp_path / "log") as example:
            page = chromium.new_page()
            page.goto(example.url + "/assistant")
            page.wait_for_selector("main pre")
            assert page.locator("main pre").inner_text() == "cd assistant\nnpm install && npm run build"
            page.close()

    @pytest.mark.parametrize("width", [360, 1280])
    def test_page_fits_its_window(self, chromium: Browser, flask_example: Example, width: int) -> None:
        """Nobody scrolls sideways, whatever is written."""
        with window(chromium, flask_example, "/assistant", width=width) as page:
            assert page.overflow() == 0
            page.ask("drops" + "x" * 400)
            wait_for_answer(page, 20)
            assert page.overflow() == 0

    def test_connection_that_is_lost_is_made_again(self, chromium: Browser, flask_example: Example) -> None:
        """Until the server is there again. Killed, it has written its last; after the lease the page is told."""
        with window(chromium, flask_example, "/assistant") as page:
            ask(page)
            flask_example.kill()
            wait_for_status(page, "Connection lost.")
            seen = page.answer()
            flask_example.start()
            page.page.set_default_timeout(30_000)
            wait_for_status(page, LOST)
            assert page.answer().startswith(seen)
            page.page.get_by_text("Ask again").click()
            wait_for_answer(page, 20)
            assert page.page.locator(".answer").count() == 1


# Posts go to the first, which so writes the answers; everything else to the second, and to the first when that is gone.
_SHARED = """
upstream readers { server 127.0.0.1:READER max_fails=0; server 127.0.0.1:WRITER backup; }
"""
_LOCATION = """
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      if ($request_method = GET) { proxy_pass http://readers; }
"""


class Workers:
    """Two processes of one example, which share its log, behind nginx.

    `writer` gets the questions, and `reader` whatever else is asked for while it lives.
    """

    def __init__(self, name: str, home: Path, script: Path) -> None:
        for place in ("writer", "reader"):
            (home / place).mkdir()
        self.writer = built(Example(name, home / "writer" / "log", constants=PACE), script)
        self.reader = Example(name, home / "reader" / "log", constants=PACE)
        self.reader.folder = self.writer.folder

    def nginx(self) -> Nginx:
        """Return nginx, not started yet."""
        readers = _SHARED.replace("READER", str(self.reader.port)).replace("WRITER", str(self.writer.port))
        return Nginx([self.writer.port], location=_LOCATION, http=readers)


@pytest.fixture(params=EXAMPLES)
def workers(request: pytest.FixtureRequest, tmp_path: Path, script: Path) -> Iterator[Workers]:
    """Run two workers of an example, of each if the test does not choose."""
    workers = Workers(request.param, tmp_path, script)
    with workers.writer, workers.reader, workers.nginx() as nginx:
        for one in (workers.writer, workers.reader):
            one.url = nginx.url
        yield workers


@contextmanager
def writer(folder: Path) -> Iterator[None]:
    """Run the process that writes the answers of an example."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "queued.py", "write"], cwd=folder, env=environment)
    try:
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait(10)


@needs("nginx")
class TestTwoWorkers:
    """Two processes that share a SQLite log, one of which is killed."""

    def test_page_goes_on_when_the_process_that_served_it_is_killed(self, chromium: Browser, workers: Workers) -> None:
        """The process that writes the answer is another: the page comes back, to that one, and shows the exact text."""
        with window(chromium, workers.writer, "/assistant") as page:
            ask(page)
            page.page.reload()  # so that it is the other process that serves it
            wait_for_answer(page, 60)
            assert workers.reader.requests("/api/chat/") > workers.writer.requests("/api/chat/") == 0
            workers.reader.kill()
            wait_for_status(page, "Connection lost.")
            assert len(page.answer()) < len(answer_to(QUESTION))
            page.wait_for(COMPLETE)
            assert page.answer() == answer_to(QUESTION)
            assert page.page.locator(".answer").count() == 1
            assert page.status() == ""

    @needs("flask", "httpx")
    def test_page_goes_on_when_the_process_that_got_its_question_is_killed(
        self, chromium: Browser, tmp_path: Path, script: Path
    ) -> None:
        """Where a third process writes, as a task queue's worker does, either of the two may go."""
        for place in ("one", "two"):
            (tmp_path / place).mkdir()
        one = built(Example("flask", tmp_path / "one" / "log", server="queued.py {port}"), script)
        two = Example("flask", tmp_path / "two" / "log", server="queued.py {port}")
        two.folder = one.folder
        shutil.copy(Path(__file__).parent / "queued.py", one.folder)
        with one, two, Nginx([one.port, two.port]) as nginx, writer(one.folder):
            one.url = nginx.url
            with window(chromium, one, "/assistant") as page:
                ask(page)
                (asked,) = [worker for worker in (one, two) if '"POST /api/chat' in worker.log()]
                asked.kill()
                wait_for_status(page, "Connection lost.")
                page.wait_for(COMPLETE)
                assert page.answer() == answer_to(QUESTION)
                assert page.page.locator(".answer").count() == 1

    @pytest.mark.parametrize("workers", [pytest.param("fastapi", marks=needs("fastapi", "uvicorn"))], indirect=True)
    def test_page_is_told_when_the_process_that_wrote_its_answer_is_killed(
        self, chromium: Browser, workers: Workers
    ) -> None:
        """Nobody else can go on with it: what was written stays, and the other process says that the rest is lost."""
        with window(chromium, workers.writer, "/assistant") as page:
            ask(page)
            workers.writer.kill()
            page.page.set_default_timeout(30_000)
            wait_for_status(page, LOST)
            assert answer_to(QUESTION).startswith(page.answer())
            assert 60 < len(page.answer()) < len(answer_to(QUESTION))
