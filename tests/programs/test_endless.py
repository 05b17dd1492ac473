"""A test of an endless stream, on the test client of the framework: no server, and no second of waiting."""

import itertools
from collections.abc import Iterator

from flask import Flask

from streamkit import Event, StreamPolicy
from streamkit.flask import EventStreamResponse
from streamkit.testing import fake_clock, open_stream

app = Flask(__name__)
readers: list[str] = []


def numbers() -> Iterator[Event]:
    """Count for as long as somebody reads."""
    readers.append("one")
    try:
        for number in itertools.count():
            yield Event(number, id=number)
    finally:
        readers.clear()


@app.get("/numbers")
def stream() -> EventStreamResponse:
    """Count, for an hour at most."""
    return EventStreamResponse(numbers(), policy=StreamPolicy(max_age=3600, drain="cut"))


def test_a_reader_who_leaves_ends_the_generator() -> None:
    """The first items arrive, and the `finally` runs when the client has left."""
    with open_stream(app.test_client(), "GET", "/numbers") as events:
        assert events.status_code == 200
        assert events.take(2) == [Event(0, id=0), Event(1, id=1)]
        assert readers == ["one"]
        events.disconnect()
        assert readers == []
    assert events.closed_reason == "disconnected"


def test_a_stream_ends_at_its_max_age() -> None:
    """An hour passes at once, for the clock is the test's."""
    with fake_clock() as clock, open_stream(app.test_client(), "GET", "/numbers") as events:
        events.take(1)
        clock.advance(3600)
        assert events.wait_closed() == "max_age"
    assert readers == []
