"""The in-process drivers see what a client sees, and refuse what the specifications refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.rig.apps import raw_asgi, raw_wsgi
from tests.rig.asgi import ASGIHost, Checker, Violation
from tests.rig.wsgi import WSGIHost

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"x", "more_body": True}
END = {"type": "http.response.body", "body": b"", "more_body": False}

BROKEN: dict[str, list[dict[str, Any]]] = {
    "body before start": [BODY],
    "two starts": [START, START],
    "event after the end": [START, END, END],
    "header name in upper case": [{**START, "headers": [(b"Vary", b"Accept")]}],
    "header as text": [{**START, "headers": [("vary", "Accept")]}],
    "line break in a header": [{**START, "headers": [(b"vary", b"a\nb")]}],
    "body as text": [START, {**BODY, "body": "x"}],
    "more_body as a number": [START, {**BODY, "more_body": 1}],
}


@pytest.mark.parametrize("events", BROKEN.values(), ids=BROKEN.keys())
def test_broken_order_or_type_is_a_violation(events: list[dict[str, Any]]) -> None:
    """What breaks the ASGI specification raises at the event that breaks it."""
    checker = Checker()
    for event in events[:-1]:
        checker.sent(event)
    with pytest.raises(Violation):
        checker.sent(events[-1])


def test_order_of_a_whole_response_passes() -> None:
    """Start, body, end is what the checker accepts."""
    checker = Checker()
    for event in (START, BODY, END):
        checker.sent(event)
    assert checker.stage == "ended"


@pytest.fixture(params=["asgi", "wsgi"])
def host(request: pytest.FixtureRequest) -> Iterator[ASGIHost | WSGIHost]:
    """Play the server for the hand-written application of either interface."""
    host = ASGIHost(raw_asgi.app) if request.param == "asgi" else WSGIHost(raw_wsgi.app)
    with host:
        yield host


class TestHost:
    """Both hosts behave as a server with a socket does."""

    def test_head_and_pieces_arrive_apart(self, host: ASGIHost | WSGIHost) -> None:
        """The head is there first, then each item when it was made."""
        with host.open("/silent") as stream:
            assert stream.head(0.4).status == 200
            assert stream.read_to_end() == b"one\ntwo\n"
            assert stream.ending == "returned"

    def test_error_in_the_body_is_truncation(self, host: ASGIHost | WSGIHost) -> None:
        """An application that raises after the head leaves a body that is cut."""
        with host.open("/cut") as stream:
            assert stream.read_to_end() == b"one\n"
            assert stream.ending == "truncated"
        assert "RuntimeError: planned failure" in host.log()

    def test_leaving_reaches_the_application(self, host: ASGIHost | WSGIHost) -> None:
        """The application hears of a client that went away."""
        host.side_door.reset()
        with host.open("/endless") as stream:
            stream.read_until(b"one\n")
        record = host.side_door.wait_for(lambda record: record["closed"] == 1)
        assert record["strayed"] == []


def test_unread_body_makes_an_asgi_application_wait() -> None:
    """A client that does not read holds `send` back after 64 KiB."""
    sent: list[int] = []

    async def flood(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        for number in range(100):
            await send({**BODY, "body": b"x" * 16384})
            sent.append(number)
        await send(END)

    with ASGIHost(flood) as host, host.open("/") as stream:
        stream.head()
        assert not stream.silent_for(1.0)
        assert len(sent) <= 6
        assert len(stream.read_to_end()) == 100 * 16384


def test_validator_refuses_text_in_a_wsgi_body() -> None:
    """A WSGI body of str is an error, as PEP 3333 has it."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return ["text"]

    with WSGIHost(app) as host, host.open("/") as stream:
        stream.read_to_end()
        assert isinstance(stream.error, AssertionError)
