"""What is published, as it is stored, and as each format writes it: what it would write of a plain Event."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit import NDJSON, EncodeError, Event, EventStream, InvalidEventError, JSONSeq, TextStream
from streamkit._format import Format
from streamkit.channels._entry import RESERVED, Entry, read_payload, write_payload
from streamkit.channels._position import Position
from streamkit.sse import EncodedEvent

FORMATS: list[Callable[[], Format]] = [
    EventStream,
    lambda: EventStream(json=True),
    NDJSON,
    JSONSeq,
    TextStream,
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
TYPES = st.none() | st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1)


def _stored(item: object, id: str = "i") -> EncodedEvent:
    return read_payload(write_payload(item, None), id)


@given(VALUES, TYPES)
def test_each_format_writes_what_it_writes_of_a_plain_event(value: Any, kind: str | None) -> None:
    """Nothing shows that the data was encoded long before."""
    if kind in RESERVED:
        return
    stored, plain = _stored(Event(value, event=kind)), Event(value, event=kind, id="i")
    for make in FORMATS:
        assert make().encode(stored) == make().encode(plain)
        assert make().encode(stored) == make().encode(plain)  # of what it has kept
    assert (stored.data, stored.event, stored.id) == (value, kind, "i")


@given(VALUES)
def test_item_and_event_with_this_data_are_the_same(value: Any) -> None:
    """`publish(x)` is `publish(Event(x))`."""
    assert write_payload(value, None) == write_payload(Event(value), None)


def test_formats_that_write_the_same_share_one_frame() -> None:
    """The second format object finds what the first has written."""
    stored = _stored("text")
    for make in (EventStream, lambda: EventStream(json=True), NDJSON, lambda: EventStream(dumps=json.dumps)):
        frames = [make().encode(stored) for _ in range(2)]
        if make is not NDJSON:  # which ends what is shared
            assert frames[0] is frames[1]
    assert len(stored.frames) == 4


def test_json_of_text_is_written_once_for_all_lines() -> None:
    """NDJSON and JSON text sequences share what they have in common."""
    stored = _stored("text")
    assert NDJSON().encode(stored)[:-1] == JSONSeq().encode(stored)[1:-1]
    assert len(stored.frames) == 1


def test_an_app_that_makes_a_format_for_each_response_does_not_fill_an_event() -> None:
    """A log may keep an event for an hour."""
    stored = _stored({"n": 1})
    for _ in range(100):
        assert EventStream(dumps=partial(json.dumps)).encode(stored) == b'id: i\ndata: {"n":1}\n\n'
    assert len(stored.frames) <= 4


def test_encoder_that_cannot_be_hashed_is_taken() -> None:
    """What is kept is kept for that format alone."""

    class Dumps:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, value: object) -> str:
            return json.dumps(value)

    assert EventStream(json=True, dumps=Dumps()).encode(_stored("x")) == b'id: i\ndata: "x"\n\n'


def test_json_that_was_laid_out_is_stored_as_one_line() -> None:
    """NDJSON refuses a line break, and the subscriber cannot mend what the publisher's encoder does."""
    payload = write_payload({"a": [1, "x\ny"]}, lambda value: json.dumps(value, indent=2))
    stored = read_payload(payload, "i")
    assert payload.count(b"\n") == 1
    assert stored.data == {"a": [1, "x\ny"]}
    assert json.loads(NDJSON().encode(stored))["data"] == {"a": [1, "x\ny"]}


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\rb", "\n", "", " x ", "a\u2028b", "t\nj\n"])
def test_text_is_stored_as_it_is(text: str) -> None:
    """Lines of text are told from the line that says what it is."""
    assert _stored(text).data == text
    assert _stored(Event(text, event="kind")).event == "kind"


REFUSED: list[tuple[object, type[Exception], str]] = [
    (Event("x", id=7), InvalidEventError, "id is given by the log; got '7'"),
    (Event("x", retry=5), InvalidEventError, "retry belongs to one response"),
    (Event("x", comment="c"), InvalidEventError, "comment belongs to one response"),
    (Event(comment="c"), InvalidEventError, "data is what is published"),
    (Event("x", event="gap"), InvalidEventError, "event is what a subscription says of itself; got 'gap'"),
    (Event("x", event="cursor"), InvalidEventError, "cursor"),
    (Event("x", event="caught-up"), InvalidEventError, "caught-up"),
    (b"bytes", EncodeError, "decode it to str first"),
    (bytearray(b"x"), EncodeError, "decode it to str first"),
    (Event(b"bytes"), EncodeError, "decode it to str first"),
    (float("nan"), EncodeError, "float"),
    ({1, object()}, EncodeError, "object"),
    ("\ud800", EncodeError, "surrogate"),
]


@pytest.mark.parametrize(("item", "error", "text"), REFUSED)
def test_what_no_subscriber_can_be_sent_is_refused(item: object, error: type[Exception], text: str) -> None:
    """The publisher gets the error, and nothing is stored."""
    with pytest.raises(error) as raised:
        write_payload(item, None)
    assert text in str(raised.value)


def test_entry_gives_all_subscribers_the_same_event() -> None:
    """What one of them has made of it the next one finds."""
    entry = Entry(Position(1, 1, 2), 1, write_payload({"n": 1}, None))
    assert entry.event("sum") is entry.event("sum")
    assert entry.event("sum").data is entry.event("sum").data


def test_event_with_another_id_is_the_same_otherwise() -> None:
    """A vector of positions replaces the one."""
    stored = _stored(Event({"n": 1}, event="kind"))
    other = stored.with_id("a,b")
    assert EventStream().encode(other) == b'event: kind\nid: a,b\ndata: {"n":1}\n\n'
