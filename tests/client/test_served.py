"""The client and streamkit's own responses, through a real server."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.client.reading import Kind, read
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server

pytestmark = [needs("uvicorn"), pytest.mark.servers, pytest.mark.parametrize("kind", ["async", "sync"])]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Serve the app by uvicorn."""
    with Server(SERVERS["uvicorn-h11"], "tests.client.app:app") as server:
        yield server


@pytest.mark.parametrize("path", ["numbers", "moved"])
def test_stream_is_read_over_several_connections(server: Server, kind: Kind, path: str) -> None:
    """Each event once and in order, until the 204; a redirect is followed each time."""
    reading = read(kind, f"{server.url}/{path}")
    assert (reading.data, reading.error) == (["1", "2", "3", "4", "5", "6"], None)
    assert reading.pauses == [0.02, 0.02, 0.02]


def test_channel_is_resumed_and_a_gap_is_told(server: Server, kind: Kind) -> None:
    """A position that the log has left behind gets a gap, then all there is, over connections that are cut."""
    ids = httpx.get(f"{server.url}/publish", timeout=30).json()
    reading = read(kind, f"{server.url}/orders", last_event_id=ids[2], until="done")
    assert reading.error is None
    assert [(item.event, item.id) for item in reading.items[:1]] == [("gap", ids[4])]
    assert '"reason":"evicted"' in reading.data[0]
    assert reading.data[1:] == ["6", "7", "8", "9", "10", ""]
    assert [item.id for item in reading.items[1:-1]] == ids[5:]
    assert reading.told
    assert None not in reading.told


def test_page_instead_of_a_stream_is_an_error(server: Server, kind: Kind) -> None:
    """It is said, with the beginning of the page."""
    reading = read(kind, f"{server.url}/login")
    assert "answered 200 with text/html" in str(reading.error)
    assert "Log in" in str(reading.error)


def test_rows_that_break_off_are_no_whole_answer(server: Server, kind: Kind) -> None:
    """What came is handed out, and then the loop raises."""
    reading = read(kind, f"{server.url}/rows")
    assert reading.items == [{"n": 1}, {"n": 2}]
    assert isinstance(reading.error, httpx.RemoteProtocolError)
