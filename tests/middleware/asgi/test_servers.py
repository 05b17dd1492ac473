"""What takes a socket and a process: streams that frameworks make in their own way, under uvicorn."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import pytest

from tests.rig.apps import foreign
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server

pytestmark = [pytest.mark.servers, needs("uvicorn", "httptools", "uvloop"), pytest.mark.xdist_group("foreign")]

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Serve the app of all frameworks."""
    with Server(SERVERS["uvicorn-httptools"], "tests.rig.apps.foreign:app") as served:
        yield served


@pytest.mark.parametrize("framework", foreign.APPS)
def test_never_awaiting_stream_lets_others_run_and_ends_with_its_client(framework: str, server: Server) -> None:
    """Also under a server whose `send` returns at once and says nothing when the client has left."""
    server.side_door.reset()
    with server.open(f"/{framework}/spinning", headers=EVENTS) as stream:
        assert stream.piece() is not None
        with server.open(f"/{framework}/finite", headers=EVENTS) as other:
            assert b"3" in other.read_to_end()
        stream.leave()
    server.side_door.wait_for(
        lambda record: record["scenario"] == "spinning" and record["ended_by"] is not None, what="an end"
    )
    assert "Traceback" not in server.log()


def test_error_in_a_fastapi_event_stream_cuts_the_connection(server: Server) -> None:
    """The browser sees a broken connection, and comes back."""
    for _ in range(20):
        with server.open("/fastapi-sse/failing", headers=EVENTS) as stream:
            stream.read_to_end()
            assert not stream.clean


def test_all_idle_streams_end_at_sigterm_and_the_server_with_them() -> None:
    """Every browser gets a clean end, every generator does what it awaits in its `finally`, and the process is gone."""
    with (
        Server(SERVERS["uvicorn-httptools"], "tests.rig.apps.foreign:app") as server,
        contextlib.ExitStack() as streams,
    ):
        opened = {}
        for framework in foreign.APPS:
            opened[framework] = streams.enter_context(server.open(f"/{framework}/idle", headers=EVENTS))
            opened[framework].read_until(b"1")
        server.signal(signal.SIGTERM)
        for framework, stream in opened.items():
            stream.read_to_end()
            # FastAPI's lines have no id, so their client cannot resume: they have had their grace, and are cut off.
            assert stream.clean == (framework != "fastapi-jsonl")
        server.wait_until_gone(20)
        log = server.log()
        assert log.count(foreign.CLEANED_UP) == len(foreign.APPS), log
        assert "Traceback" not in log
