"""docs/how-to/migrating-from-sse-starlette.md: both programs send the same, and the tables say what is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sse_starlette
from sse_starlette import EventSourceResponse, JSONServerSentEvent, ServerSentEvent
from sse_starlette.event import ensure_bytes
from sse_starlette.sse import AppStatus
from starlette.responses import Response

from streamkit import EncodeError, Event, EventStream, InvalidEventError
from streamkit.testing import open_stream
from tests.how_to.migration import arguments, described, events, public, shown, unnamed
from tests.test_how_to import blocks_of, run

PAGE = "migrating-from-sse-starlette.md"
(MIDDLEWARE,) = blocks_of(PAGE, "First the middleware")
(BEFORE,) = blocks_of(PAGE, "Before")
(AFTER,) = blocks_of(PAGE, "After")

pytestmark = described("sse-starlette", 3, 7)

THREE = [
    ("price", '{"cents":100}', "1"),
    ("price", '{"cents":200}', "2"),
    ("price", '{"cents":300}', "3"),
    ("done", '{"count":3}', None),
]


@pytest.fixture(autouse=True)
def drain_as_before() -> Iterator[None]:
    """Leave sse-starlette's switch as it was: it is one for the process."""
    before = AppStatus.enable_automatic_graceful_drain
    yield
    AppStatus.enable_automatic_graceful_drain = before


@pytest.mark.parametrize("program", [(BEFORE,), (BEFORE, MIDDLEWARE), (AFTER,)], ids=["before", "between", "after"])
def test_each_step_sends_the_same_events(program: tuple[str, ...]) -> None:
    """Whole, and after an id that the client has kept."""
    app = run(*program)["app"]
    assert shown(events(app, "/prices")) == THREE
    assert shown(events(app, "/prices", **{"Last-Event-ID": "2"})) == THREE[2:]


@pytest.mark.parametrize("program", [BEFORE, AFTER], ids=["before", "after"])
def test_each_program_notices_a_client_that_leaves(program: str) -> None:
    """By its own callback."""
    names = run(program)
    with open_stream(names["app"], "GET", "/prices") as stream:
        stream.take()
    assert names["gone"] in (["left"], ["disconnected"])


def test_middleware_leaves_the_caching_that_the_old_response_asks_for() -> None:
    """It asks proxies not to compress beside it, and drops the header that is the server's."""
    with open_stream(run(BEFORE, MIDDLEWARE)["app"], "GET", "/prices") as stream:
        assert stream.headers["cache-control"] == "no-store, no-transform"
        assert "connection" not in stream.headers
    with open_stream(run(AFTER)["app"], "GET", "/prices") as stream:
        assert stream.headers["cache-control"] == "no-cache, no-transform"


def test_tables_name_every_public_name_and_argument() -> None:
    """Of the version that is installed."""
    names = [
        *sse_starlette.__all__,
        *arguments(EventSourceResponse),
        *arguments(ServerSentEvent),
        *(name for name in public(EventSourceResponse) if not hasattr(Response, name)),
        *(name for name in public(ServerSentEvent) if name != "DEFAULT_SEPARATOR"),
        *public(AppStatus),
        "SendTimeoutError",
    ]
    assert unnamed(PAGE, names) == []


def test_table_of_items_says_what_either_sends() -> None:
    """Each row of it."""
    old, new = ensure_bytes, EventStream().encode
    assert old("text", "\n") == new("text") == b"data: text\n\n"
    fields: dict[str, Any] = {"data": "x", "event": "e", "id": "1", "retry": 5}
    assert set(old(fields, "\n").split(b"\n")) == set(new(Event(**fields)).split(b"\n"))
    with pytest.raises(TypeError):
        old({"cents": 100}, "\n")
    assert old(ServerSentEvent({"a": 1}, sep="\n"), "\n") == b"data: {'a': 1}\n\n"
    assert new(Event({"a": 1})) == JSONServerSentEvent({"a": 1}, sep="\n").encode() == b'data: {"a":1}\n\n'
    values = (7, True, None)
    assert [old(value, "\n")[6:-2] for value in values] == [b"7", b"True", b"None"]
    assert [new(value)[6:-2] for value in values] == [b"7", b"true", b"null"]
    assert old(b"x", "\n") == b"x"
    with pytest.raises(EncodeError):
        new(b"x")
    with pytest.raises(TypeError):
        ServerSentEvent("", id=7).encode()  # type: ignore[arg-type]
    assert Event("", id=7).id == "7"
    assert b"event: ab" in ServerSentEvent("", event="a\nb").encode()
    with pytest.raises(InvalidEventError):
        Event("", event="a\nb")
