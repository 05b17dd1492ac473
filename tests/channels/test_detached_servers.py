"""Detached streams on real servers: views of each framework, shutdown, and a browser that is told to stop."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from streamkit.channels import Detached, SQLiteLog, Status
from streamkit.channels._producer import SLACK
from tests.channels.streams import LOST, Read, read
from tests.rig.apps.detached import GRACE, LEASE, LOG
from tests.rig.browser import headless_chromium
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server, ServerKind

pytestmark = [pytest.mark.servers, needs("flask", "starlette")]

BOUND = 15.0
WHOLE = [(None, "ann"), (None, "end"), ("done", "")]
UNFINISHED = [(None, "ann"), LOST]
BARE = "tests.rig.apps.detached:bare"
ASGI = "tests.rig.apps.detached:asgi"
FLASK = "tests.rig.apps.detached:flask_app"
DJANGO_WSGI = "tests.rig.apps.detached_django:wsgi_app"
DJANGO_ASGI = "tests.rig.apps.detached_django:asgi_app"


def served(server: str | ServerKind, app: str, home: Path) -> Server:
    """Start a server whose log is a file in `home`."""
    kind = SERVERS[server] if isinstance(server, str) else server
    return Server(kind, app, environment={LOG: str(home / "log.db")})


def get(server: Server, target: str) -> str:
    """Return the body of an answer that ends."""
    with server.open(target) as answer:
        assert answer.head(10).status == 200, answer.describe()
        return answer.read_to_end().decode()


def recorded(home: Path, key: str) -> tuple[Status, Read]:
    """Return what the log has of a stream that has ended, by a process that has nothing to do with it."""
    log = SQLiteLog(home / "log.db")
    detached = Detached(log, lease=LEASE)
    status = detached.status_sync(key)
    got = [] if status.state == "running" else asyncio.run(asyncio.wait_for(read(detached, key), 10))
    log.close()
    return status, got


@pytest.mark.parametrize(
    ("server", "app", "prefixes", "readers"),
    [
        pytest.param("uvicorn-h11", ASGI, ("", "/sync"), ("",), marks=needs("uvicorn"), id="starlette"),
        pytest.param("gunicorn-gthread", FLASK, ("", "/sync", "/async"), ("",), marks=needs("gunicorn"), id="flask"),
        pytest.param(
            "gunicorn-gevent", FLASK, ("", "/sync"), ("",), marks=needs("gunicorn", "gevent"), id="flask-gevent"
        ),
        pytest.param(
            "gunicorn-gthread",
            DJANGO_WSGI,
            ("", "/sync", "/async"),
            ("", "/async"),
            marks=needs("gunicorn", "django"),
            id="django-wsgi",
        ),
        pytest.param(
            "uvicorn-h11",
            DJANGO_ASGI,
            ("", "/sync", "/async"),
            ("", "/async"),
            marks=needs("uvicorn", "django"),
            id="django-asgi",
        ),
    ],
)
def test_views_start_read_and_cancel(
    server: str, app: str, prefixes: tuple[str, ...], readers: tuple[str, ...], tmp_path: Path
) -> None:
    """Sources of both kinds, with the view's ContextVars; 404 for an unknown key, 204 for who has seen the end."""
    with served(server, app, tmp_path) as running, ExitStack() as stack:
        for number, prefix in enumerate(prefixes):
            assert get(running, f"{prefix}/start/gated/k{number}") == "True"
            assert get(running, f"{prefix}/start/gated/k{number}") == "False"
            assert get(running, f"/start/silent/s{number}") == "True"
        paths = [f"{how}/read/k{number}" for number in range(len(prefixes)) for how in readers]
        streams = [stack.enter_context(running.open(path)) for path in paths]
        for stream in streams:
            stream.read_until(b"data: ann\n\n")
        (tmp_path / "gate").touch()
        for stream in streams:
            body = stream.read_to_end()
            assert body.count(b"data: ") == 3
            assert body.endswith(b"event: done\ndata: \n\n") or body.rstrip().endswith(b"data:")
            assert stream.clean
        assert get(running, "/cancel/s0") == "True"
        assert get(running, "/cancel/s0") == "False"
        for how in readers:
            last = body.rpartition(b"id: ")[2].partition(b"\n")[0].decode()
            with running.open(f"{how}/read/k{number}", headers={"Last-Event-ID": last}) as again:
                assert again.head(10).status == 204
            with running.open(f"{how}/read/nobody") as unknown:
                assert unknown.head(10).status == 404
    assert recorded(tmp_path, "s0")[0].state == "cancelled"


@dataclass(frozen=True)
class Case:
    """A server that is told to stop, while somebody reads or not."""

    server: str
    app: str
    is_read: bool = False


CLOSED = [
    Case("uvicorn-h11", ASGI),
    Case("uvicorn-h11", ASGI, is_read=True),
    Case("uvicorn-httptools", ASGI),
    Case("gunicorn-uvicorn", ASGI),
    Case("gunicorn-uvicorn", ASGI, is_read=True),
    Case("granian-asgi", ASGI),
    Case("granian-asgi", ASGI, is_read=True),
    Case("gunicorn-gthread", FLASK),
    Case("gunicorn-gthread", FLASK, is_read=True),
    Case("gunicorn-gevent", FLASK),
]
# Not granian: it is often gone before the log can be told.
UNCLOSED = [Case("uvicorn-h11", BARE), Case("gunicorn-uvicorn", BARE)]


def _cases(cases: list[Case]) -> list[object]:
    return [
        pytest.param(
            case,
            id=f"{case.server}-{case.app.rpartition(':')[2]}{'-read' if case.is_read else ''}",
            marks=needs(*SERVERS[case.server].parts),
        )
        for case in cases
    ]


def stopped(case: Case, home: Path) -> str:
    """Start streams in either way, stop the server, and open the gate while it ends; return what it has logged."""
    with served(case.server, case.app, home) as running, ExitStack() as stack:
        for kind in ("gated", "silent"):
            assert get(running, f"/start/{kind}/{kind}") == "True"
            assert get(running, f"/sync/start/{kind}/sync-{kind}") == "True"
        if case.is_read:
            reader = stack.enter_context(running.open("/read/silent", headers={"Accept": "text/event-stream"}))
            reader.read_until(b"data: ann\n\n")
        running.signal(signal.SIGTERM)
        (home / "gate").touch()
        running.wait_until_gone(BOUND)
        return running.log()


@pytest.mark.parametrize("case", _cases(CLOSED))
def test_producers_finish_at_sigterm_or_are_recorded_as_lost(case: Case, tmp_path: Path) -> None:
    """When the grace is over, before the process has gone: no lease is waited for, which would be ten minutes."""
    log = stopped(case, tmp_path)
    for kind in ("", "sync-"):
        assert recorded(tmp_path, f"{kind}gated") == (Status("done", False), WHOLE), log
        assert recorded(tmp_path, f"{kind}silent") == (Status("lost", False), UNFINISHED), log


@pytest.mark.parametrize("case", _cases(UNCLOSED))
def test_producers_of_a_server_that_waits_for_none_are_found_to_be_lost(case: Case, tmp_path: Path) -> None:
    """Without a lifespan: when the grace is over, not when the lease is."""
    log = stopped(case, tmp_path)
    until = time.monotonic() + GRACE + SLACK + BOUND
    for key in ("silent", "sync-silent"):
        while recorded(tmp_path, key)[0].state == "running":
            assert time.monotonic() < until, log
            time.sleep(0.1)
        assert recorded(tmp_path, key) == (Status("lost", False), UNFINISHED), log


@needs("uvicorn", "playwright", "chromium")
@pytest.mark.browser
def test_browser_that_has_seen_the_end_stops_at_204(tmp_path: Path) -> None:
    """An EventSource that nobody closes comes back once, with the end's id, and then no more."""
    with served("uvicorn-h11", ASGI, tmp_path) as running, headless_chromium() as browser:
        assert get(running, "/start/gated/k") == "True"
        (tmp_path / "gate").touch()
        page = browser.new_page()
        answers: list[int] = []
        page.on("response", lambda response: answers.append(response.status) if "/read/" in response.url else None)
        page.goto(f"{running.url}/")
        with page.expect_response(lambda response: response.status == 204, timeout=20_000):
            page.evaluate(
                """() => {
                    window.got = []
                    window.source = new EventSource("/read/k")
                    source.onmessage = event => got.push(event.data)
                    source.addEventListener("done", () => got.push("done"))
                }"""
            )
        page.wait_for_function("source.readyState === EventSource.CLOSED", timeout=20_000)
        assert page.evaluate("got") == ["ann", "end", "done"]
        assert answers == [200, 204]


def test_two_workers_serve_each_others_streams(tmp_path: Path) -> None:
    """Whichever of them the request reaches."""
    kind = SERVERS["gunicorn-gthread"]
    two = replace(kind, command=kind.command.replace("--workers 1", "--workers 2"))
    with served(two, FLASK, tmp_path) as running, ExitStack() as stack:
        for number in range(4):
            assert get(running, f"/start/gated/k{number}") == "True"
        streams = [stack.enter_context(running.open(f"/read/k{number % 4}")) for number in range(16)]
        for stream in streams:
            stream.read_until(b"data: ann\n\n")
        (tmp_path / "gate").touch()
        for stream in streams:
            assert stream.read_to_end().count(b"data: ") == 3
