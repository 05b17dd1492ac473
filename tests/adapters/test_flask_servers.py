"""On real servers with threads: what an abandoned stream leaves behind, and what compression does to an open one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server
from tests.rig.stream import Stalled

pytestmark = [pytest.mark.servers, needs("flask", "gunicorn", "werkzeug")]


@pytest.fixture(scope="module", params=["werkzeug", "gunicorn-gthread"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Serve the application."""
    with Server(SERVERS[request.param], "tests.adapters.flask_served:app") as running:
        yield running


def state(server: Server) -> Any:
    """Ask the application what it has seen."""
    with server.open("/state") as answer:
        return json.loads(answer.read_to_end())


def state_after(server: Server, path: str, times: int) -> Any:
    """Wait until teardown has run `times` times for a path."""
    until = time.monotonic() + 8
    while (now := state(server))["torn_down"].count(path) < times:
        if time.monotonic() > until:
            raise Stalled(f"teardown has not run {times} times for {path}: {now}")
        time.sleep(0.02)
    return now


@pytest.mark.parametrize("path", ["/inline", "/pumped/sync", "/pumped/async"])
def test_abandoned_stream_leaves_no_context_behind(server: Server, path: str) -> None:
    """Teardown runs for request and stream; no later request, on whatever thread, finds their contexts."""
    before = state(server)["torn_down"].count(path)
    for _ in range(3):
        with server.open(path) as stream:
            stream.read_until(b"data: 2")
    state_after(server, path, before + 6)
    answers = [state(server) for _ in range(20)]
    assert answers[-1]["stale"] == []
    assert answers[-1]["torn_down"].count(path) == before + 6
    assert answers[-1]["torn_down"].count("/state") >= 20


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_compression_lets_each_item_through(server: Server, kind: str) -> None:
    """An item is on the wire, uncompressed, while the source waits for leave to make the next; JSON is compressed."""
    encodings = {"Accept-Encoding": "gzip, deflate, br, zstd"}
    with server.open("/state", headers=encodings) as other:
        assert other.head().get("content-encoding") is not None
    server.side_door.reset()
    with server.open(f"/compressed/{kind}", headers=encodings) as stream:
        assert stream.head().get("content-encoding") is None
        for number in range(5):
            server.side_door.allow(number + 1)
            body = stream.read_until(b"item %d" % number, within=1)
            assert b"item %d" % (number + 1) not in body
