"""What an answer of any adapter gives away, and what an attacker may put into it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamkit import NotAcceptableError
from streamkit._negotiation import choose
from streamkit.channels import Channels, MemoryLog
from streamkit.ndjson import NDJSON
from streamkit.sse import EventStream
from streamkit.testing import NotAStreamError, StreamEndedError
from tests.testing.kinds import KINDS, Bench, Kind

SECRET = "postgres://app:hunter2@db.internal/prod"


@pytest.fixture(params=["flask", "django", "django-async", "starlette", "fastapi", "wsgi", "asgi"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """A client of each adapter."""
    return KINDS[request.param]


def fails() -> Iterator[str]:
    """Fail after an item, by an exception that says too much."""
    yield "a"
    raise RuntimeError(SECRET)


def test_text_of_an_error_reaches_no_client(kind: Kind) -> None:
    """Neither in the body nor in a header; the server's log has it."""

    async def test(bench: Bench) -> None:
        async with bench.open() as events:
            with pytest.raises(StreamEndedError):
                assert [item async for item in events] == []
            assert SECRET.encode() not in events.raw
            assert SECRET not in repr(list(events.headers.items()))

    kind.run(lambda adapter, request: adapter.EventStreamResponse(fails(), request=request), test)


@pytest.mark.parametrize("forged", ["a\r\nSet-Cookie: admin=1", "a\nX: y", "a\0b"])
def test_header_with_a_line_break_is_refused_in_the_view(kind: Kind, forged: str) -> None:
    """As a name and as a value, whatever the server would have made of it."""
    refused: list[str] = []

    def respond(adapter: Any, request: Any) -> Any:
        for headers in ({"X-Name": forged}, {forged: "x"}):
            with pytest.raises(ValueError, match=r"line break|newline|Header|header") as caught:
                adapter.EventStreamResponse(["a"], headers=headers, request=request)
            refused.append(str(caught.value))
        return adapter.EventStreamResponse(["a"], request=request)

    async def test(bench: Bench) -> None:
        async with bench.open() as events:
            assert [item.data async for item in events] == ["a"]
            assert "Set-Cookie" not in events.headers

    kind.run(respond, test)
    assert len(refused) == 2


def test_no_other_origin_may_read_an_answer_unless_the_app_says_so(kind: Kind) -> None:
    """No adapter sends a header of CORS of its own, not even to who asks from elsewhere with credentials."""

    async def test(bench: Bench) -> None:
        async with bench.open(headers={"Origin": "https://evil.example", "Cookie": "session=1"}) as events:
            assert [name for name, _ in events.headers.items() if name.lower().startswith("access-control")] == []

    kind.run(lambda adapter, request: adapter.EventStreamResponse(["a"], request=request), test)


def test_nothing_is_compressed_and_no_cache_may_answer_with_it(kind: Kind) -> None:
    """A secret that shares a compressed body with an attacker's text can be guessed by its length."""

    async def test(bench: Bench) -> None:
        async with bench.open(headers={"Accept-Encoding": "gzip, deflate, br, zstd"}) as events:
            assert events.headers.get("Content-Encoding", "identity") == "identity"
            assert events.headers["Cache-Control"] == "no-cache, no-transform"
            assert [item.data async for item in events] == [SECRET]
            assert SECRET.encode() in events.raw

    kind.run(lambda adapter, request: adapter.EventStreamResponse([SECRET], request=request), test)


def test_app_may_forbid_that_anything_is_stored(kind: Kind) -> None:
    """Its Cache-Control is sent instead of the default."""
    headers = {"Cache-Control": "no-store, no-transform", "X-Content-Type-Options": "nosniff"}

    async def test(bench: Bench) -> None:
        async with bench.open() as events:
            assert {name: events.headers[name] for name in headers} == headers

    kind.run(lambda adapter, request: adapter.EventStreamResponse(["a"], headers=headers, request=request), test)


def test_refused_accept_is_answered_in_plain_text(kind: Kind) -> None:
    """What the client has written is repeated to it, and never as a page that would run."""
    evil = "text/<script>alert(1)</script>, image/png"

    async def test(bench: Bench) -> None:
        async with bench.open(headers={"Accept": evil}) as answer:
            assert answer.status_code == 406
            assert answer.headers["Content-Type"].startswith("text/plain")
            with pytest.raises(NotAStreamError):
                await answer.take()

    kind.run(lambda adapter, request: adapter.NegotiatedResponse([1], request=request), test)


@pytest.mark.parametrize(
    "accept",
    [
        "a/" * 100_000,
        "," * 200_000,
        "text/" + "a" * 200_000,
        "text/x;q=0." + "0" * 200_000,
        ";q=0." * 50_000,
        "text/event-stream;" * 50_000,
    ],
)
def test_hostile_accept_is_read_in_linear_time(accept: str) -> None:
    """What backtracks over so much text would not end within the time of a test."""
    try:
        choose(accept, (EventStream(), NDJSON()))
    except NotAcceptableError as exc:
        assert exc.offered  # noqa: PT017 - either outcome will do, if it comes


FORGED = "x\n2026-01-01 ERROR admin logged in\x1b[2J\u2028y"


@pytest.mark.parametrize(
    "attack",
    [
        lambda channels: channels.subscribe("a", after=FORGED),
        lambda channels: channels.subscribe(FORGED, after="garbage"),
    ],
    ids=["id", "channel"],
)
def test_client_forges_no_line_of_the_log(attack: Callable[[Channels], Any], caplog: pytest.LogCaptureFixture) -> None:
    """What it sent is quoted, and cut."""
    with caplog.at_level(logging.DEBUG):
        attack(Channels(MemoryLog()))
    (line,) = [record.getMessage() for record in caplog.records if "which is no id of" in record.getMessage()]
    assert line.isprintable()
    assert len(line) < 600
