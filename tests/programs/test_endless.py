"""A test of an endless stream, on the test client of the framework: no server, and no second of waiting."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.testclient import TestClient

from streamkit import Event, StreamPolicy
from streamkit.fastapi import EventStreamResponse
from streamkit.testing import fake_clock, open_stream

app = FastAPI()
readers: list[str] = []


async def news() -> AsyncIterator[Event]:
    """Give two events, and wait for more for as long as somebody reads."""
    readers.append("one")
    try:
        yield Event("first", id=1)
        yield Event("second", id=2)
        await asyncio.Event().wait()
    finally:
        readers.clear()


@app.get("/news")
async def stream() -> EventStreamResponse:
    """Stream the news, for an hour at most."""
    return EventStreamResponse(news(), policy=StreamPolicy(max_age=3600, drain="cut"))


def test_a_reader_who_leaves_ends_the_generator() -> None:
    """The first items arrive, and the `finally` has run when the client has left."""
    with open_stream(TestClient(app), "GET", "/news") as events:
        assert events.status_code == 200
        assert events.take(2) == [Event("first", id=1), Event("second", id=2)]
        assert readers == ["one"]
        events.disconnect()
        assert readers == []
    assert events.closed_reason == "disconnected"


def test_a_stream_ends_at_its_max_age() -> None:
    """An hour passes at once, for the clock is the test's."""
    with fake_clock() as clock, open_stream(TestClient(app), "GET", "/news") as events:
        events.take(2)
        clock.advance(3600)
        assert events.wait_closed() == "max_age"
    assert readers == []
