"""What a received event equals, and how a test looks for one."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit import Event, EventStream, StreamPolicy, asgi, wsgi
from streamkit.testing import ReceivedEvent, open_stream

SENT = [
    Event("a", id=1),
    Event("b"),
    Event("two\r\nlines", event="note"),
    Event({"b": 1, "a": [None]}, id="7"),
    Event(None),
    Event(""),
    Event("x", retry=5, comment="seen"),
]


def received(*items: Any, **options: Any) -> list[Any]:
    """Return what a client gets of a stream."""
    app = wsgi.EventStreamResponse(items, policy=StreamPolicy(keepalive=None), **options)
    with open_stream(app, "GET", "/") as events:
        return list(events)


def test_events_equal_those_that_the_view_has_sent() -> None:
    """As they stand, with their own ids and values."""
    assert received(*SENT) == SENT
    assert [event.id for event in received(*SENT)][:2] == ["1", None]


@pytest.mark.parametrize(
    "other",
    [
        Event("b"),
        Event("a", id=2),
        Event("a"),
        Event("a", id=1, event="x"),
        Event(id=1),
        Event(1, id=1),
        "a",
        Event(float("nan"), id=1),
    ],
)
def test_event_that_differs_is_unequal(other: object) -> None:
    """In data, type or id; and what is no event is none."""
    (event,) = received(Event("a", id=1))
    assert event != other
    assert other != event


def test_value_equals_whatever_the_order_of_its_keys() -> None:
    """JSON objects have none; numbers are not text, for text was sent as it is."""
    assert received({"a": 1, "b": 2}) == [Event({"b": 2, "a": 1})]
    assert received("1") == [Event("1")]
    assert received("x") != [Event({"x": 1})]


def test_json_of_an_event_is_its_value() -> None:
    """Where text is sent as JSON, too."""
    assert [event.json() for event in received("a", {"n": 1}, format=EventStream(json=True))] == ["a", {"n": 1}]
    with pytest.raises(ValueError, match="Expecting value"):
        ReceivedEvent("a").json()


def test_until_finds_by_field_by_item_and_by_function() -> None:
    """The one that is found is the last of what is returned."""
    with open_stream(asgi.EventStreamResponse(SENT), "GET", "/") as events:
        assert events.until(event="note") == SENT[:3]
        assert events.until(Event(None)) == SENT[3:5]
        assert events.until(lambda event: event.data == "x") == SENT[5:]
        assert events.comments == ["seen"]


def test_text_and_records_are_items_too() -> None:
    """Plain text comes in the pieces that were sent."""
    app: Any
    for app, items in ((wsgi.TextStreamResponse(["a", "é"]), ["a", "é"]), (wsgi.JSONSeqResponse([1, [2]]), [1, [2]])):
        with open_stream(app, "GET", "/") as events:
            assert events.until(items[-1]) == items


def test_headers_are_found_in_any_case() -> None:
    """What came twice is there twice."""
    app = wsgi.NDJSONResponse([], headers=[("X-A", "1"), ("x-a", "2")])
    with open_stream(app, "GET", "/") as events:
        assert (events.headers["x-A"], events.headers.get_all("X-a")) == ("1, 2", ["1", "2"])
        assert events.headers.get("x-b") is None
        assert len(events.headers) == len(list(events.headers)) == 4
        assert "('x-a', '1')" in repr(events.headers)
