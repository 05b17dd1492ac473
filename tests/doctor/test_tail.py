"""`streamkit tail`: events decoded, connections made again as a browser makes them, and ends said."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest

from tests.doctor.odd_server import OddServer, odd_server
from tests.doctor.run import run
from tests.rig.requirements import needs
from tests.rig.servers import free_port

pytestmark = [pytest.mark.servers, needs("click", "rich", "httpx")]


@pytest.fixture
def server() -> Iterator[OddServer]:
    """Serve streams."""
    with odd_server() as server:
        yield server


def test_stream_is_resumed_until_the_server_says_that_it_is_over(server: OddServer) -> None:
    """Each connection names the last id, waits the retry of the stream, and a 204 is the end."""
    ran = run("tail", f"{server.url}/resumed", "--json")
    assert ran.code == 0
    assert [json.loads(line) for line in ran.out.splitlines()] == [
        {"event": "count", "id": str(number), "data": "\x1b[31mred"} for number in (1, 2, 3)
    ]
    assert [asked.get("last-event-id") for asked in server.asked] == [None, "1", "2", "3"]
    assert ran.err.splitlines()[0] == "the stream has ended; once more in 0.01 s, after id 1"
    assert ran.err.splitlines()[-1] == "the server says that the stream is over (204)"


def test_control_characters_do_not_reach_the_terminal(server: OddServer) -> None:
    """What a terminal would obey is replaced; the rest is shown with time, type and id."""
    ran = run("tail", f"{server.url}/resumed", "--last-event-id", "2")
    assert ran.out.split()[1:] == ["count", "3", "\N{REPLACEMENT CHARACTER}[31mred"]
    assert "\x1b" not in ran.out


def test_type_of_an_event_ends_it(server: OddServer) -> None:
    """`--until done` leaves a stream that is still open; lines of data stay lines."""
    ran = run("tail", f"{server.url}/done", "--until", "done")
    assert (ran.code, ran.err) == (0, "")
    assert [line.split()[-1] for line in ran.out.splitlines()] == ["one", "more", "done"]


def test_lines_of_json_end_with_the_body(server: OddServer) -> None:
    """NDJSON has no ids, so there is nothing to come back for."""
    ran = run("tail", f"{server.url}/lines", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert [json.loads(line)["n"] for line in ran.out.splitlines()] == list(range(12))
    assert len(server.asked) == 1


def test_once_is_enough_where_it_is_asked_for(server: OddServer) -> None:
    """`--once` takes the end for the end."""
    ran = run("tail", f"{server.url}/short", "--once")
    assert (ran.code, len(server.asked), ran.err) == (0, 1, "the stream has ended\n")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("missing", "there is nothing at this address (404)"),
        ("page", "the answer is an HTML page"),
        ("garbage", "the connection failed"),
    ],
)
def test_what_is_no_stream_is_said_in_one_line(server: OddServer, path: str, says: str) -> None:
    """Exit code 2, no traceback, and no second attempt."""
    ran = run("tail", f"{server.url}/{path}")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert says in ran.err


def test_event_over_the_limit_ends_it(server: OddServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, whatever a server sends."""
    from rich.console import Console

    from streamkit.doctor import _tail as tail

    monkeypatch.setattr(tail, "LARGEST", 100_000)
    printer = tail.Printer(Console(file=io.StringIO()), as_json=True)
    assert tail.tail(tail.Asked(f"{server.url}/huge", {}), printer) == 2


def test_connection_refused_is_said_at_once() -> None:
    """A server that was never there is not waited for."""
    ran = run("tail", f"http://127.0.0.1:{free_port()}/")
    assert (ran.code, ran.err) == (2, "the connection was refused: nothing listens there\n")


def test_server_that_went_away_is_given_up_after_some_attempts() -> None:
    """Once it has streamed, it is asked again, with the pause that it named, and not for ever."""
    from rich.console import Console

    from streamkit.doctor import _tail as tail

    pauses: list[float] = []
    with odd_server() as server:
        printer = tail.Printer(Console(file=io.StringIO()), as_json=True)

        def sleep(seconds: float) -> None:
            if not pauses:
                server.shutdown()
                server.server_close()
            pauses.append(seconds)

        assert tail.tail(tail.Asked(f"{server.url}/resumed", {}), printer, sleep) == 2
    assert pauses == [0.01] * tail.TRIES
