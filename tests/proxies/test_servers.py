"""How many streams a process of each server holds, as docs/deploy/servers.md says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from tests.proxies.arrivals import Client
from tests.proxies.running import DEPLOY
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server, ServerKind

pytestmark = pytest.mark.servers

THREADS = 16

# Name in the rig -> its row in the page, and what bounds it as the rig starts it; None where no test reaches the bound.
ROWS: dict[str, tuple[str, int | None]] = {
    "uvicorn-httptools": ("uvicorn", None),
    "uvicorn-h11": ("uvicorn", None),
    "gunicorn-uvicorn": ("gunicorn --worker-class uvicorn.workers.UvicornWorker", None),
    "hypercorn": ("hypercorn", None),
    "daphne": ("daphne", None),
    "granian-asgi": ("granian --interface asgi", None),
    "gunicorn-gevent": ("gunicorn --worker-class gevent", None),
    "gunicorn-gthread": ("gunicorn --worker-class gthread", THREADS),
    "granian-wsgi": ("granian --interface wsgi", THREADS),
    "waitress": ("waitress", THREADS),
    "gunicorn-sync": ("gunicorn --worker-class sync", 1),
}
HELD = {name: held for name, (_, held) in ROWS.items()}
MANY = 100
WITHIN = 10.0
WAITING = 0.5


def _case(name: str) -> object:
    return pytest.param(name, marks=needs(*SERVERS[name].parts))


@contextmanager
def _serve(kind: ServerKind) -> Iterator[Server]:
    with Server(kind, f"tests.rig.apps.stamped:{kind.interface}") as server:
        yield server


@pytest.mark.parametrize("name", [_case(name) for name, held in HELD.items() if held is None])
def test_a_hundred_streams_are_open_at_once(name: str) -> None:
    """Each has its first frame while all the others wait for their second."""
    with _serve(SERVERS[name]) as server, ExitStack() as stack:
        server.side_door.allow(1)
        clients = [stack.enter_context(Client(server.port, frames=2)) for _ in range(MANY)]
        assert all(client.has(1, WITHIN) for client in clients)


@pytest.mark.parametrize("name", [_case(name) for name, held in HELD.items() if held is not None])
def test_one_stream_too_many_waits_until_another_ends(name: str) -> None:
    """So many threads, so many streams."""
    held = HELD[name]
    assert held is not None
    with _serve(SERVERS[name]) as server, ExitStack() as stack:
        server.side_door.allow(1)
        clients = [stack.enter_context(Client(server.port, frames=2)) for _ in range(held)]
        assert all(client.has(1, WITHIN) for client in clients)
        late = stack.enter_context(Client(server.port, frames=2))
        assert not late.has(1, WAITING)
        server.side_door.allow(2)
        assert late.has(1, WITHIN)


def _impatient(name: str) -> ServerKind:
    return replace(SERVERS[name], command=SERVERS[name].command.replace("{app}", "--timeout 4 {app}"))


@needs("gunicorn")
def test_timeout_of_gunicorn_cuts_the_streams_of_sync_workers_alone() -> None:
    """It is a total for a worker that does one thing at a time, and no concern of a threaded one's streams."""
    with _serve(_impatient("gunicorn-gthread")) as threaded, _serve(_impatient("gunicorn-sync")) as sync:
        threaded.side_door.allow(1)
        sync.side_door.allow(1)
        with Client(threaded.port, frames=2, keepalive=0.3) as spared, Client(sync.port, frames=2) as cut:
            assert spared.has(1)
            assert cut.has(1)
            cut.read_to_end(20.0)
            assert cut.stream.ending == "truncated"
            threaded.side_door.allow(2)
            assert spared.has(2)


def test_page_has_a_row_for_each_server_and_for_no_other() -> None:
    """What is measured here is what the page tells."""
    measured, _, _ = (DEPLOY / "servers.md").read_text().partition("## Which to take")
    assert set(re.findall(r"^\| `(.+?)`", measured, re.MULTILINE)) == {row for row, _ in ROWS.values()}
