"""Every command of the docs that starts a server, or asks one, is run with the very words of its page.

A server gets the address where it is to listen, and an app; a command that asks one gets that address. The pages that
tell their commands one after the other are run by tests of their own: quickstarts, examples, CONTRIBUTING.md.
"""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.doctor.run import Ran, run, without_measures
from tests.pages import ROOT, blocks, commands, pages, server_commands
from tests.rig.http import HTTPStream
from tests.rig.process import Process
from tests.rig.requirements import executable, needs
from tests.rig.servers import UNMEASURED, free_port

HOW_TO = ROOT / "docs" / "how-to"
PAGES = [
    page
    for page in pages()
    if page.parent.name not in {"quickstart", "flask", "django", "fastapi"} and page != ROOT / "README.md"
]
LISTEN = {
    "uvicorn": "--port {}",
    "gunicorn": "--bind 127.0.0.1:{}",
    "hypercorn": "-b 127.0.0.1:{}",
    "granian": "--port {}",
}
ENDED = {0, -signal.SIGTERM}  # uvicorn ends by the signal that it got
ASKS = re.compile(r"(\w+=\S.* )?streamkit (doctor|tail) ")
PLAIN = re.compile(r"https://example\.\w+/(?!__)\S+")
ADDRESS = re.compile(r"https://example\.\w+")
WITHIN = 30.0
LOOKS = 3
"""A machine at its limit delays events by itself: what one look sees is seen again, or it was the machine."""

# An app for both interfaces.
SMALL = {
    "asgi": """
from streamkit.asgi import EventStreamResponse

async def words():
    for word in ("one", "by", "one"):
        yield word

async def app(scope, receive, send):
    if scope["type"] == "http":
        await EventStreamResponse(words())(scope, receive, send)
""",
    "wsgi": """
from streamkit.wsgi import EventStreamResponse

def app(environ, start_response):
    return EventStreamResponse(["one", "by", "one"])(environ, start_response)
""",
}

# An answer that takes longer than the grace which a stream has by default, for the class of shutting-down.md.
LONG = {
    "asgi": """
import asyncio

async def words():
    yield "first"
    for _ in range(15):
        await asyncio.sleep(0.1)
    yield "last"

async def app(scope, receive, send):
    if scope["type"] == "http":
        await Answer(words())(scope, receive, send)
""",
    "wsgi": """
import time

def words():
    yield "first"
    for _ in range(15):
        time.sleep(0.1)
    yield "last"

def app(environ, start_response):
    return Answer(words())(environ, start_response)
""",
}

# What the commands that ask a server are asked of: the paths that the pages name, and the probe of doctor.md.
ASKED = """
import asyncio

from starlette.responses import Response

from streamkit import Event
from streamkit.fastapi import EventStreamResponse, LastEventID


async def words():
    for number, word in enumerate(("one", "by", "one"), 1):
        yield Event(word, id=number, retry=50)
        await asyncio.sleep(0.3)


@app.get("/sse")
@app.get("/events")
@app.get("/chat/stream")
async def stream(last: LastEventID = None) -> Response:
    return EventStreamResponse(words()) if last is None else Response(status_code=204)
"""


def interface(command: str) -> str:
    """Return what a server asks of its app."""
    return "asgi" if re.search(r"^(uvicorn|hypercorn)|UvicornWorker|--interface asgi", command) else "wsgi"


@contextmanager
def served(command: str, app: str) -> Iterator[Process]:
    """Start a server by the words of its page, told where to listen; yield it once each worker has its app.

    Before that a signal may be lost: gunicorn's workers begin with the handlers of their parent.
    """
    program, *words = shlex.split(command)
    port = free_port()
    path = executable(program)
    assert path is not None
    files = {"app.py": f"{app}\nprint('loaded', flush=True)\n"}
    environment = {**UNMEASURED, "PYTHONPATH": "{home}", "HOME": "{home}"}  # where gunicorn puts a socket
    workers = int(words[words.index("--workers") + 1]) if "--workers" in words else 1
    with Process([path, *words, *LISTEN[program].format(port).split()], files, port, environment=environment) as server:
        until = time.monotonic() + WITHIN
        while server.log().count("loaded") < workers:
            assert time.monotonic() < until, server.log()
            time.sleep(0.02)
        yield server


def started_in(page: str) -> list[str]:
    """Return each server command of a page once."""
    found = list(dict.fromkeys(server_commands(ROOT / page)))
    assert found, page
    return found


def cases(page: str) -> pytest.MarkDecorator:
    """Run a test for each server command of a page."""
    parts = {
        "gevent": "gevent",
        "uvicorn": "uvicorn",
        "gunicorn": "gunicorn",
        "hypercorn": "hypercorn",
        "granian": "granian",
    }
    marked = [
        pytest.param(command, marks=needs(*sorted(part for word, part in parts.items() if word in command)))
        for command in started_in(page)
    ]
    return pytest.mark.parametrize("command", marked)


def test_no_page_starts_a_server_unseen() -> None:
    """The pages below are all that have such a command."""
    found = {page.relative_to(ROOT).as_posix() for page in PAGES if server_commands(page)}
    assert found == {
        f"docs/{name}.md" for name in ("deploy/servers", "how-to/deploying", "how-to/resume", "how-to/shutting-down")
    }


@pytest.mark.servers
@cases("docs/how-to/deploying.md")
def test_server_of_deploying_streams_and_ends(command: str) -> None:
    """Whatever its workers, a stream comes whole, and SIGTERM ends them all."""
    streams_and_ends(command, SMALL[interface(command)])


@pytest.mark.servers
@cases("docs/deploy/servers.md")
def test_server_of_the_table_of_servers_streams_and_ends(command: str) -> None:
    """As it is recommended there."""
    streams_and_ends(command, SMALL[interface(command)])


def streams_and_ends(command: str, app: str) -> None:
    """Start a server, read a stream, end it."""
    with served(command, app) as server:
        with HTTPStream(server.port, "/") as stream:
            assert stream.read_to_end(WITHIN) == b"data: one\n\ndata: by\n\ndata: one\n\n"
            assert stream.clean
        server.terminate()
        assert server.wait(WITHIN) in ENDED, server.log()


@pytest.mark.servers
@needs("flask")
@cases("docs/how-to/resume.md")
def test_workers_of_resume_share_what_is_published(command: str) -> None:
    """With the app of the page: whichever worker is told of an order, the stream of another has it."""
    app, *_ = [block.text for block in blocks(HOW_TO / "resume.md") if block.language == "python"]
    with served(command, app) as server, HTTPStream(server.port, "/orders") as stream:
        stream.read_until(b"id: ", WITHIN)
        for number in range(4):
            with HTTPStream(server.port, f"/orders/{number}", method="POST") as order:
                assert order.head(WITHIN).status == 204
            stream.read_until(b'"number":%d' % number, WITHIN)
        server.terminate()
        assert server.wait(WITHIN) in ENDED, server.log()


@pytest.mark.servers
@cases("docs/how-to/shutting-down.md")
def test_server_of_shutting_down_lets_an_answer_end(command: str) -> None:
    """An answer that takes longer than the second that it has by default is whole, and then the server goes."""
    wanted = interface(command)
    (answer,) = [block.text for block in blocks(HOW_TO / "shutting-down.md") if "class Answer" in block.text]
    app = answer.replace("streamkit.fastapi", f"streamkit.{wanted}") + LONG[wanted]
    with served(command, app) as server, HTTPStream(server.port, "/") as stream:
        stream.read_until(b"first", WITHIN)
        server.terminate()
        assert stream.read_to_end(WITHIN).endswith(b"data: last\n\n"), server.log()
        assert stream.clean
        assert server.wait(WITHIN) in ENDED, server.log()


def asking() -> dict[str, str | None]:
    """Return each command that asks a server, with the text block after it, which is what that prints.

    Of those that differ by the address of a stream alone there is one, that whose output is shown. README.md's has a
    proxy to find, and is run by tests/proxies.
    """
    found: dict[str, str | None] = {}
    for page in PAGES:
        command = None
        for block in blocks(page):
            if block.language == "text" and command:
                found[command] = block.text
            command = None
            for line in block.text.splitlines() if block.language == "sh" else ():
                if ASKS.match(line):
                    found.setdefault(command := line)
    # The last of a kind stays.
    kinds = {PLAIN.sub("URL", command): command for command in sorted(found, key=lambda command: bool(found[command]))}
    return {command: found[command] for command in kinds.values()}


ASKING = asking()


def asked(command: str, server: Process) -> Ran:
    """Run a command with the address of a server instead of the page's."""
    *before, program, name, url = shlex.split(command)
    assert program == "streamkit"
    environment = dict(word.split("=", 1) for word in before)
    return run(name, ADDRESS.sub(server.url, url), environment=environment)


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    """Serve the paths that the pages name, behind the probe of doctor.md."""
    (probe,) = [block.text for block in blocks(ROOT / "docs" / "doctor.md") if "FastAPI()" in block.text]
    with served("uvicorn app:app", probe + ASKED) as server:
        yield server


@pytest.mark.servers
@needs("fastapi", "uvicorn", "click", "rich", "httpx")
@pytest.mark.xdist_group("commands that ask")
@pytest.mark.parametrize("command", ASKING)
def test_command_that_asks_finds_a_stream(command: str, server: Process) -> None:
    """The doctor finds nothing in the way and prints what is shown; `tail` prints what is sent, until the 204."""
    for _ in range(LOOKS):
        ran = asked(command, server)
        if ran.code == 0:
            break
    assert ran.code == 0, ran.out + ran.err
    if " tail " in command:
        assert re.findall(r"\b(one|by)$", ran.out, re.MULTILINE) == ["one", "by", "one"]
        assert ran.err.endswith("(204)\n")
    else:
        assert "streamed: events arrive as they are sent" in ran.out
        assert ("Without a probe" in ran.out) == ("__stream_probe" not in command)
    if shown := ASKING[command]:
        assert without_measures(ran.out.replace(server.url, "URL")) == without_measures(ADDRESS.sub("URL", shown))


def test_output_is_shown_somewhere() -> None:
    """Else none would be compared."""
    assert [command for command, shown in ASKING.items() if shown] == ["streamkit doctor https://example.org/events"]


@needs("flask", "django", "fastapi", "starlette", "uvicorn", "waitress", "click", "httpx2")
def test_what_the_pages_install_is_what_the_tests_have() -> None:
    """Pip, told not to ask anyone, finds every requirement met: there are such names and such extras."""
    lines = {line for page in pages() for line in commands(page) if line.startswith("pip install ")}
    installed = {word for line in lines for word in shlex.split(line)[2:]}
    assert len(lines) > 10
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--disable-pip-version-check", *sorted(installed)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "WARNING" not in ran.stderr  # as for an extra that there is not
