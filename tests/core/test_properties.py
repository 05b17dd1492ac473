"""For every input: no line and no event is forged, and what is decoded is what was sent."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit import NDJSON, EncodeError, Event, EventDecoder, EventStream, InvalidEventError, JSONSeq, TextStream
from tests.core.test_formats import decoded, decoder_of, in_use

# A drawn dict may look like an event's fields, which earns a hint that is tested elsewhere.
pytestmark = pytest.mark.filterwarnings("ignore:a dict of data")

# Text that is rich in what could end a line or start a field.
nasty = (
    st.lists(
        st.sampled_from(
            [
                "\n",
                "\r",
                "\r\n",
                ":",
                " ",
                "\x1e",
                "\x85",
                "\u2028",
                "\ufeff",
                "data",
                "id",
                "event",
                "retry",
                "x",
                "é",
                "\0",
                "{",
                '"',
            ]
        )
    ).map("".join)
    | st.text()
)
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | nasty,
    lambda inner: st.lists(inner) | st.dictionaries(nasty, inner),
    max_leaves=6,
)
IN_USE = {as_json: in_use(EventStream(json=as_json)) for as_json in (False, True)}
LINE = re.compile(rb"(?:data: .*|event: .*|id: .*|retry: \d+|: .*)")


@st.composite
def events(draw: st.DrawFn, data: st.SearchStrategy[Any] = nasty) -> Event:
    """Draw an event that can be built, from fields most of which hold something nasty."""

    def optional(strategy: st.SearchStrategy[Any]) -> Any:
        return draw(st.none() | strategy)

    try:
        return Event(
            draw(data),
            event=optional(nasty),
            id=optional(nasty),
            retry=optional(st.integers(0, 10**6)),
            comment=optional(nasty),
        )
    except InvalidEventError:
        return Event(draw(data), comment=optional(nasty))


@st.composite
def cut(draw: st.DrawFn, body: bytes) -> list[bytes]:
    """Cut a body into chunks of drawn sizes, empty ones among them."""
    places = sorted(draw(st.lists(st.integers(0, len(body)), max_size=8)))
    return [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]


def received(sent: list[Event], as_json: bool) -> list[Event]:
    """Return what a conforming client dispatches for what was sent."""
    last: str | None = None
    got = []
    for event in sent:
        last = last if event.id is None else event.id
        text = json.dumps(event.data) if as_json else re.sub("\r\n?", "\n", event.data)
        got.append(Event(text, event=event.event or None, id=last))
    return got


@given(st.lists(events(), max_size=4), st.data())
def test_events_arrive_as_they_were_sent_for_any_chunking(sent: list[Event], data: st.DataObject) -> None:
    """The client dispatches one event for each, with its fields, and nothing more."""
    stream = EventStream()
    body = b"".join(part for event in sent for part in (stream.encode(event), stream.keepalive))
    assert decoded(EventDecoder(), data.draw(cut(body))) == received(sent, False)


@given(st.lists(events(trees), max_size=3), st.data())
def test_json_events_arrive_with_equal_values(sent: list[Event], data: st.DataObject) -> None:
    """With json=True the data reads back as the value that was sent."""
    stream = EventStream(json=True)
    got = decoded(EventDecoder(), data.draw(cut(b"".join(map(stream.encode, sent)))))
    assert [json.loads(event.data) for event in got] == [event.data for event in sent]


@given(events() | nasty | trees, st.booleans(), st.integers(0, 9))
def test_no_item_forges_a_line_of_an_event_stream(item: Any, as_json: bool, retry: int) -> None:
    """Every line of a frame is a field that we wrote, and only its end is blank; however many were written before."""
    stream = EventStream(json=as_json)
    frame = stream.encode(item)
    assert IN_USE[as_json].encode(item) == frame
    for one in (frame, stream.with_retry(frame, retry)):
        assert b"\r" not in one
        assert one.endswith(b"\n\n")
        lines = one[:-2].split(b"\n")
        assert all(LINE.fullmatch(line) for line in lines)
        assert sum(line.startswith((b"event: ", b"id: ")) for line in lines) <= 2
        assert not (
            frame.startswith(b"data:") and any(not line.startswith(b"data:") for line in frame[:-2].split(b"\n"))
        )


@given(st.lists(trees | events(trees), max_size=4), st.sampled_from([NDJSON(), JSONSeq()]), st.data())
def test_json_items_arrive_for_any_chunking(sent: list[Any], format: NDJSON | JSONSeq, data: st.DataObject) -> None:
    """As many values as were sent, each equal, and no line end in a frame but its last byte."""
    frames = [format.encode(item) for item in sent]
    assert all(len(frame.decode().splitlines()) == (1 if isinstance(format, NDJSON) else 2) for frame in frames)
    got = decoded(decoder_of(format), data.draw(cut(b"".join(frames))))
    plain = [item.data if isinstance(item, Event) else item for item in sent]
    assert [value["data"] if isinstance(item, Event) else value for value, item in zip(got, sent, strict=True)] == plain


@given(nasty)
def test_plain_text_is_what_was_given(text: str) -> None:
    """Nothing is added to text and nothing is lost."""
    try:
        assert TextStream().encode(text).decode() == text
    except EncodeError:
        assert not text.isprintable()


@given(st.binary(max_size=60), st.data())
def test_any_bytes_decode_alike_for_any_chunking(body: bytes, data: st.DataObject) -> None:
    """No input breaks the event decoder, and where the chunks were cut makes no difference."""
    assert decoded(EventDecoder(), data.draw(cut(body))) == decoded(EventDecoder(), [body])
