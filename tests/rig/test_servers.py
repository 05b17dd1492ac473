"""Every server of the rig starts, streams, tells of a client that left, and is gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server, ServerFailed

KINDS = [pytest.param(kind, id=name, marks=needs(*kind.parts)) for name, kind in SERVERS.items()]

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Serve the hand-written application of the server's interface."""
    kind = request.param
    with Server(kind, f"tests.rig.apps.raw_{kind.interface}:app") as server:
        yield server


def test_stream_arrives_and_ends(server: Server) -> None:
    """A finite stream is read to its clean end."""
    with server.open("/finite") as stream:
        assert stream.head().status == 200
        assert stream.read_to_end() == b"one\ntwo\n"
        assert stream.clean


def test_side_door_answers_while_a_stream_is_open(server: Server) -> None:
    """The state of the process is known also where one worker serves one request at a time."""
    server.side_door.reset()
    with server.open("/endless") as stream:
        stream.read_until(b"one\n")
        assert server.side_door.wait_for(lambda record: record["pulled"] >= 1)["closed"] == 0
        assert server.side_door.resources().threads >= 1
    server.side_door.wait_for(lambda record: record["closed"] == 1)


def test_head_request_has_no_body(server: Server) -> None:
    """A HEAD request is answered by a head alone."""
    with server.open("/finite", method="HEAD") as stream:
        assert stream.head().status == 200
        # Waitress sends the terminating chunk of the body that it does not send.
        assert stream.body in (b"", b"0\r\n\r\n")


def test_group_is_gone_after_stop() -> None:
    """No process of a server outlives it, with a stream still open."""
    kind = SERVERS["uvicorn-h11"]
    with Server(kind, "tests.rig.apps.raw_asgi:app") as server:
        family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        stream = server.open("/endless")
        stream.read_until(b"one\n")
        server.stop()
        stream.leave()
    assert not any(process.is_running() for process in family)


def test_server_that_cannot_start_says_why() -> None:
    """A start that fails shows what the server logged."""
    with pytest.raises(ServerFailed, match="no_such_module"):
        Server(SERVERS["uvicorn-h11"], "tests.rig.apps.no_such_module:app")
