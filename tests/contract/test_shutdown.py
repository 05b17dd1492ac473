"""Contract point 10 on real servers: at SIGTERM every stream ends, its cleanup is done, and the process goes.

The servers run with their own defaults, which wait for half a minute or for ever: a bound of ten seconds tells an end
from a hang on a loaded machine too. A run with STREAMKIT_WRITE_DOCS=1 writes the seconds into docs/shutdown.md.
"""

from __future__ import annotations

import logging
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest

from tests.contract.declared import ADAPTERS
from tests.contract.seconds import ROWS, write_row
from tests.rig.http import HTTPStream
from tests.rig.requirements import needs
from tests.rig.scenarios import GATED_ITEMS
from tests.rig.servers import SERVERS, UNMEASURED, Server, ServerKind

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("shutdown")]

logger = logging.getLogger(__name__)

STREAMS = 100
BOUND = 10.0
BROWSER = {"Accept": "text/event-stream"}
ITEM = b"id: 1\ndata: item\n\n"
FAREWELL = re.compile(rb"(?::\n)*id: 1\ndata: item\n\n(?::\n)*retry: ([0-9]+)\n")


@dataclass(frozen=True)
class Case:
    """A server with an application of ours.

    Args:
        server: an entry of SERVERS.
        adapter: an entry of ADAPTERS.
        options: more of the server's command line.
        tells: whether the server's signal reaches the streams; else they are cut when the server goes.
        cleans_up: whether sources are closed when the server goes.
    """

    server: str
    adapter: str
    options: str = ""
    tells: bool = True
    cleans_up: bool = True

    @property
    def kind(self) -> ServerKind:
        """The server with room for all streams."""
        kind = SERVERS[self.server]
        roomy = re.sub(r"threads(.)16", rf"threads\g<1>{STREAMS + 20}", kind.command)
        return replace(kind, command=roomy.replace("{app}", f"{self.options} {{app}}"))

    @property
    def name(self) -> str:
        """What the row of the table says first."""
        return f"{f'{self.server} {self.options}'.strip()}, {self.adapter}"


CASES = [
    Case("uvicorn-httptools", "asgi"),
    Case("uvicorn-h11", "asgi"),
    Case("uvicorn-httptools", "asgi", "--workers 2"),
    Case("gunicorn-uvicorn", "asgi"),
    Case("granian-asgi", "asgi"),
    Case("gunicorn-gthread", "wsgi"),
    Case("gunicorn-gthread", "flask"),
    Case("gunicorn-gthread", "django-wsgi"),
    Case("gunicorn-gevent", "wsgi"),
    Case("hypercorn", "asgi", tells=False),
    Case("daphne", "asgi", tells=False, cleans_up=False),  # it waits for nothing, so not all have time to
    Case("granian-wsgi", "wsgi", "--workers-kill-timeout 3", tells=False, cleans_up=False),
    Case("waitress", "wsgi", "--connection-limit 200", tells=False, cleans_up=False),
    Case("werkzeug", "flask", tells=False, cleans_up=False),
]


def _follow(stream: HTTPStream) -> float:
    """Read to the end and keep the connection as long as the server does; return when the end came."""
    stream.read_to_end(BOUND)
    ended_at = time.monotonic()
    stream.leave_after_the_server(BOUND)
    return ended_at


def _cases() -> list[object]:
    return [
        pytest.param(case, id=case.name, marks=needs(*case.kind.parts, *ADAPTERS[case.adapter][1])) for case in CASES
    ]


@pytest.mark.parametrize("case", _cases())
def test_hundred_idle_streams_end_at_sigterm(case: Case) -> None:
    """Each browser is told when to come back, any other client sees a cut, and each `finally` has run to its end."""
    # Measured, a server would have a handler for SIGTERM all the same: that of the measuring.
    unmeasured = {} if case.tells else UNMEASURED
    with Server(case.kind, ADAPTERS[case.adapter][0], environment=unmeasured) as server, ExitStack() as stack:
        headers = [BROWSER if number % 2 else None for number in range(STREAMS)]
        streams = [stack.enter_context(server.open("/async/idle", headers=fields)) for fields in headers]
        for stream in streams:
            stream.read_until(ITEM)
        with ThreadPoolExecutor(STREAMS) as pool:
            begun = time.monotonic()
            server.signal(signal.SIGTERM)
            following = [pool.submit(_follow, stream) for stream in streams]
            server.wait_until_gone(BOUND)
            gone = time.monotonic() - begun
            ended = max(future.result() for future in following) - begun
        told = [stream for stream in streams if stream.clean and FAREWELL.fullmatch(stream.body)]
        assert told == (streams[1::2] if case.tells else [])
        assert all(stream.ending == "truncated" and b"retry" not in stream.body for stream in streams[::2])
        if case.cleans_up:
            records = server.journal()
            assert [record["closed"] for record in records] == [1] * STREAMS
            assert {record["ended_by"] for record in records} == {"CancelledError"}
    logger.info("%s: streams ended after %.1f s, process gone after %.1f s", case.name, ended, gone)
    write_row(case.name, ended, gone)


def test_page_has_a_row_for_every_case() -> None:
    """docs/shutdown.md shows what was measured, for all servers and for no others."""
    assert list(ROWS) == [case.name for case in CASES]


@needs("uvicorn")
def test_second_sigint_ends_uvicorn_at_once() -> None:
    """A stream whose grace is long is waited for, until the operator insists."""
    with Server(SERVERS["uvicorn-h11"], ADAPTERS["asgi"][0]) as server, server.open("/async/patient") as stream:
        stream.read_until(ITEM)
        server.signal(signal.SIGINT)
        server.wait_for_log("Waiting for connections")
        assert stream.silent_for(0.5)
        server.signal(signal.SIGINT)
        server.wait_until_gone(BOUND)
        stream.read_to_end()
        assert stream.ending == "truncated"
        # Once, at least: whether what its `finally` awaits is cut short is a matter of when uvicorn looks.
        assert [record["ended_by"] for record in server.journal()] == ["CancelledError"]


@needs("gunicorn", "uvicorn")
@pytest.mark.parametrize(("server", "adapter"), [("gunicorn-gthread", "wsgi"), ("gunicorn-uvicorn", "asgi")])
def test_sigint_after_sigterm_ends_gunicorn_at_once(server: str, adapter: str) -> None:
    """Its arbiter tells the workers by SIGQUIT, and kills two seconds later what has not ended."""
    with Server(SERVERS[server], ADAPTERS[adapter][0]) as gunicorn, gunicorn.open("/async/patient") as stream:
        stream.read_until(ITEM)
        gunicorn.signal(signal.SIGTERM)
        gunicorn.wait_for_log("Handling signal: term")
        assert stream.silent_for(0.5)
        gunicorn.signal(signal.SIGINT)
        gunicorn.wait_for_log("Quick shutdown requested")
        stream.read_to_end()
        assert stream.ending == "truncated"
        stream.leave()
        gunicorn.wait_until_gone(BOUND)
        assert [record["closed"] for record in gunicorn.journal()] == [1]


@pytest.mark.parametrize(
    ("name", "adapter", "logged"),
    [
        pytest.param("gunicorn-gthread", "wsgi", "Handling signal: term", marks=needs("gunicorn")),
        pytest.param("gunicorn-uvicorn", "asgi", "Handling signal: term", marks=needs("gunicorn", "uvicorn")),
        pytest.param("granian-asgi", "asgi", "Stopping worker", marks=needs("granian")),
    ],
)
def test_sigterm_to_the_whole_group_leaves_streams_their_grace(name: str, adapter: str, logged: str) -> None:
    """So systemd stops a service: a worker hears of it twice, the second time by its parent."""
    with Server(SERVERS[name], ADAPTERS[adapter][0]) as server, server.open("/async/graced") as stream:
        server.side_door.allow(1)
        stream.read_until(b"data: item 0\n\n")
        server.signal(signal.SIGTERM, group=True)
        server.wait_for_log(logged)
        assert stream.silent_for(0.5)
        server.side_door.allow(GATED_ITEMS)
        assert stream.read_to_end().endswith(b"data: item 4\n\nevent: done\ndata: \n\n")
        stream.leave()
        server.wait_until_gone(BOUND)
