"""docs/quickstart/: each page is followed from its first line to its last, with its servers, curl and a browser.

A Python block is a file, or the end of one, by its first line; a line of a shell block is a command, and the text block
after it what that prints. What is none of these is a failure, so nothing on a page can escape.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.rig.browser import headless_chromium
from tests.rig.process import Process
from tests.rig.requirements import executable, needs
from tests.rig.servers import UNMEASURED, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PAGES = sorted((Path(__file__).parents[1] / "docs" / "quickstart").glob("*.md"))
ADDRESS = "http://127.0.0.1:8000"  # as the pages have it
STEP = re.compile(rf"^```(\w+)\n(.*?)^```$|^(Open) <({ADDRESS}\S*)>", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# (\w+\.py)(, at the end)?\n")
SHOWN = "one by one they come "

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("quickstart")]


class Step(NamedTuple):
    """What a reader does, and what is said to be seen then."""

    action: str
    seen: str | None = None


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the language and text of each block; "Open" is an address to open."""
    found = STEP.findall(page.read_text(encoding="utf-8"))
    return [(language or opened, text or address) for language, text, opened, address in found]


def files(page: Path) -> dict[str, str]:
    """Return the files that a reader has at the end of the page."""
    written: dict[str, str] = {}
    for language, text in blocks(page):
        if language == "python":
            name = FILE.match(text)
            assert name, f"the first line of a block names its file: {text[:60]!r}"
            assert bool(name[2]) == (name[1] in written)
            written[name[1]] = written.get(name[1], "") + "\n\n" + text
    return written


def steps(page: Path) -> list[Step]:
    """Return what is done on a page, in order."""
    done: list[Step] = []
    for language, text in blocks(page):
        if language in {"sh", "Open"}:
            done += [Step(line if language == "sh" else f"open {line}") for line in text.splitlines()]
        elif language == "text":
            assert done[-1].seen is None
            done[-1] = done[-1]._replace(seen=text)
        else:
            assert language == "python", f"a {language} block would not be looked at"
    return done


def lines(output: str) -> list[str]:
    """Return the lines of a body without keepalives, which a machine that stalls may bring."""
    return [line.rstrip() for line in output.strip().splitlines() if line != ":"]


class Reader:
    """Does what a page says, in a folder with its files."""

    def __init__(self, page: Path, folder: Path, browser: Browser, stack: ExitStack) -> None:
        self._files, self._folder, self._browser, self._stack = files(page), folder, browser, stack
        self._port = 0
        for name, text in self._files.items():
            (folder / name).write_text(text, encoding="utf-8")

    def do(self, step: Step) -> None:
        """Take one step."""
        program, *rest = shlex.split(step.action)
        if program in {"uvicorn", "waitress-serve"}:
            self._serve(program, rest)
        elif program == "open":
            self._open(rest[0])
        elif program != "pip":  # see tests/how_to/test_commands.py
            self._run(step, program, rest)

    def _serve(self, program: str, arguments: list[str]) -> None:
        self._stack.close()  # a page that starts another server has stopped the one before
        self._port = free_port()
        command = [str(executable(program)), *(argument.replace("8000", str(self._port)) for argument in arguments)]
        self._stack.enter_context(Process(command, self._files, self._port, environment=UNMEASURED))

    def _open(self, address: str) -> None:
        page = self._browser.new_page()
        page.goto(address.replace("8000", str(self._port)))
        page.wait_for_function("source.readyState === EventSource.CLOSED", timeout=20_000)
        assert page.text_content("p") == SHOWN
        page.close()

    def _run(self, step: Step, program: str, arguments: list[str]) -> None:
        assert program in {"curl", "python", "streamkit"}, f"{program} would not be run"
        command = [argument.replace("8000", str(self._port)) for argument in arguments]
        path = sys.executable if program == "python" else str(executable(program))
        ran = subprocess.run(
            [path, *command],
            cwd=self._folder,
            env={**os.environ, **UNMEASURED},
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )
        # The doctor may find a machine that stalls to buffer; what it must not do is to fail.
        assert ran.returncode in ({0, 1} if program == "streamkit" else {0}), ran.stdout + ran.stderr
        if step.seen is not None:
            assert lines(ran.stdout) == lines(step.seen)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run one browser for all pages."""
    with headless_chromium() as browser:
        yield browser


@needs("flask", "django", "fastapi", "starlette", "uvicorn", "waitress", "curl", "playwright", "chromium", "click")
@pytest.mark.browser
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_does_what_it_shows(page: Path, browser: Browser, tmp_path: Path) -> None:
    """Every command runs, prints what is shown, and the browser shows the words."""
    done = steps(page)
    assert [step for step in done if step.action.startswith("open")]
    with ExitStack() as stack:
        reader = Reader(page, tmp_path, browser, stack)
        for step in done:
            reader.do(step)
