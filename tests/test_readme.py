"""Every block of README.md is run: the code is served, its bytes compared, its page opened, its commands looked up.

The blocks of one language build on each other as a reader would put them into one file, so they run in one namespace.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from streamkit.testing import open_stream
from tests.rig.requirements import needs

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
PYTHON = [code for language, code in BLOCKS if language == "python"]
GENERATOR, FLASK, DJANGO, FASTAPI, OPTIONS, MIDDLEWARE, RESUME, CHANNELS, LLM, TESTING = PYTHON
(WIRE,) = [code for language, code in BLOCKS if language == "http"]
(PAGE,) = [code for language, code in BLOCKS if language == "html"]
INSTALL, COMMANDS, DOCTOR = [code for language, code in BLOCKS if language == "sh"]
OPTIONS_IMPORTS = "\n".join(line for line in OPTIONS.splitlines() if line.startswith("from "))

HEAD, _, BODY = WIRE.partition("\n\n")
SENT = f"{BODY}\n".encode()  # a fence cannot show the blank line that ends the last event


def run(*blocks: str) -> dict[str, Any]:
    """Run blocks after the generator; return their names."""
    names: dict[str, Any] = {"__name__": "readme"}
    for block in (GENERATOR, *blocks):
        exec(compile(block, "README.md", "exec"), names)
    return names


def without_keepalive(body: bytes) -> bytes:
    """Drop the keepalive that a stream with a single thread begins with."""
    return body.removeprefix(b":\n")


def test_languages_of_the_blocks_are_those_that_are_run() -> None:
    """A block of another kind would not be looked at."""
    assert [language for language, _ in BLOCKS] == [
        *("sh", "sh", *["python"] * 4, "html", "http", *["python"] * 6),
        *("sh", "text"),  # of the doctor; tests/proxies/test_doctor.py runs its command
    ]


@pytest.mark.parametrize("block", [FLASK, DJANGO, FASTAPI], ids=["flask", "django", "fastapi"])
def test_first_blocks_have_at_most_eight_lines(block: str) -> None:
    """What a reader copies first is short."""
    assert len(block.splitlines()) <= 8


class TestServed:
    """The three blocks, by the test clients of their hosts."""

    @needs("flask")
    def test_flask_block_sends_the_bytes_shown(self) -> None:
        """Head and body are those of the README."""
        with run(FLASK)["app"].test_client() as client, client.get("/words") as response:
            assert without_keepalive(response.get_data()) == SENT
            self.check_head(response.status_code, response.headers)

    @needs("fastapi")
    def test_fastapi_block_sends_the_bytes_shown(self) -> None:
        """Head and body are those of the README."""
        from fastapi.testclient import TestClient

        with TestClient(run(FASTAPI)["app"]) as client:
            response = client.get("/words")
        assert response.content == SENT
        self.check_head(response.status_code, response.headers)

    @needs("django")
    def test_django_block_sends_the_bytes_shown(self) -> None:
        """Head and body are those of the README."""
        from django.test import Client, override_settings

        patterns = tuple(run(DJANGO)["urlpatterns"])
        with override_settings(ROOT_URLCONF=patterns, ALLOWED_HOSTS=["*"]):
            response = Client().get("/words")
            assert without_keepalive(b"".join(response)) == SENT
            response.close()
        self.check_head(response.status_code, response.headers)

    def check_head(self, status: int, headers: Any) -> None:
        """Compare the head with the one in the README."""
        line, *fields = HEAD.splitlines()
        assert line == f"HTTP/1.1 {status} OK"
        for field in fields:
            name, _, value = field.partition(": ")
            assert headers[name].partition(";")[0] == value or headers[name] == value


@needs("flask")
def test_block_of_options_builds_every_response() -> None:
    """Each line of the block is a response that could be returned."""
    with run(FLASK)["app"].test_request_context():
        run(FLASK, OPTIONS)["pipe"].close()


@needs("flask")
def test_block_of_middleware_serves_an_app_that_streams_by_itself() -> None:
    """A plain generator of Flask's gets the headers that it has not set."""
    from flask import Response

    app = run(FLASK, MIDDLEWARE)["app"]
    app.add_url_rule("/own", "own", lambda: Response(iter(["data: 1\n\n"]), mimetype="text/event-stream"))
    with app.test_client() as client, client.get("/own") as response:
        assert response.get_data() == b"data: 1\n\n"
        assert response.headers["X-Accel-Buffering"] == "no"


@needs("flask")
@pytest.mark.parametrize(("last", "first"), [(None, "1"), ("3", "4"), ("x", "1")])
def test_block_of_ids_resumes(last: str | None, first: str) -> None:
    """The stream goes on after the id that the client names."""
    headers = {} if last is None else {"Last-Event-ID": last}
    with open_stream(run(FLASK, OPTIONS_IMPORTS, RESUME)["app"], "GET", "/count", headers=headers) as events:
        *numbers, end = events
    assert [numbers[0].id, numbers[-1].id, end.event] == [first, "5", "done"]


@needs("flask")
def test_block_of_channels_publishes_and_outlives_its_readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that comes back is sent what was published; the answer is read whole, and again."""
    monkeypatch.chdir(tmp_path)
    app = (names := run(FLASK, OPTIONS_IMPORTS, RESUME))["app"]
    with app.test_request_context():
        exec(compile(CHANNELS, "README.md", "exec"), names)
    channels, detached = names["channels"], names["detached"]
    app.add_url_rule("/answer", "answer", lambda: names["EventStreamResponse"](detached.attach("answer-7")))
    with open_stream(app, "GET", "/orders?last_event_id=x") as events:
        gap, order = events.take(2)
        assert (gap.event, order.json()) == ("gap", {"number": 7})
    for _ in range(2):
        with open_stream(app, "GET", "/answer") as events:
            assert [event.data for event in events.until(event="done")] == ["one", "by", "one", ""]
    channels.close()
    detached.log.close()


@needs("flask")
def test_block_of_protocols_serves_both() -> None:
    """Each token stands in an event of its protocol, and each stream ends with the protocol's mark."""
    app = run(FLASK, LLM)["app"]
    with open_stream(app, "POST", "/v1/chat/completions") as events:
        *chunks, mark = events
    deltas = [chunk.json()["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert ("".join(deltas), mark.data) == ("onebyone", "[DONE]")
    with open_stream(app, "POST", "/api/chat") as events:
        *parts, mark = events
        assert events.headers["x-vercel-ai-ui-message-stream"] == "v1"
    deltas = [part.json().get("delta", "") for part in parts]
    assert ("".join(deltas), mark.data) == ("onebyone", "[DONE]")


@needs("flask")
def test_block_of_testing_is_a_test_that_passes() -> None:
    """What it asserts is so, and fails where the app does otherwise."""
    run(FLASK, TESTING)
    with pytest.raises(AssertionError):
        run(FLASK, TESTING.replace('Event("one")', 'Event("two")'))


@contextmanager
def served(app: WSGIApplication) -> Iterator[str]:
    """Serve an application on 127.0.0.1; yield its address."""
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


@pytest.mark.servers
@pytest.mark.browser
@needs("flask", "playwright", "chromium")
def test_page_shows_the_words_and_closes() -> None:
    """In Chromium the page shows every word once and its EventSource is closed."""
    from playwright.sync_api import sync_playwright

    app = run(FLASK)["app"]
    app.add_url_rule("/", "page", lambda: PAGE)
    with served(app) as url, sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(url)
        page.wait_for_function("source.readyState === EventSource.CLOSED", timeout=15_000)
        assert page.inner_text("p").split() == ["one", "by", "one"]
        browser.close()


def test_install_line_names_the_distribution() -> None:
    """What is installed is what pyproject.toml builds, and the versions are its lower bounds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"pip install {project['name']}\n" == INSTALL
    assert f"Python {project['requires-python'].removeprefix('>=')} or later" in TEXT
    for extra, name in {"flask": "Flask", "django": "Django", "fastapi": "FastAPI", "starlette": "Starlette"}.items():
        version = project["optional-dependencies"][extra][0].partition(">=")[2]
        assert f"{name} {version.removesuffix('.0')}" in TEXT


def test_command_of_the_doctor_is_installed_by_its_extra() -> None:
    """The extra and the command are those of pyproject.toml; what it prints is compared in tests/proxies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    install, command = DOCTOR.splitlines()
    assert install == f'pip install "{project["name"]}[cli]"'
    assert "cli" in project["optional-dependencies"]
    assert command.split()[0] in project["scripts"]


@pytest.mark.parametrize("command", COMMANDS.splitlines())
def test_command_is_a_target_of_the_makefile(command: str) -> None:
    """`make` knows what to do for it; the demo itself is run by the tests of the examples."""
    make, target = command.split()
    planned = subprocess.run(
        [make, "--dry-run", target], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert {"demo": "examples/flask/app.py", "test": "-m pytest"}[target] in planned.stdout


@pytest.mark.parametrize("target", re.findall(r"\]\(([^):]+)\)", TEXT))
def test_link_leads_somewhere(target: str) -> None:
    """A link within the repository names a file that is there."""
    assert (ROOT / target).exists()
