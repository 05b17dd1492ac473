"""The decoders: any chunking, the letter of the standards, faults in order, bounded memory."""

import tracemalloc
from contextlib import suppress
from typing import Any

import pytest

from streamkit import DecodeError, Event, EventDecoder, EventTooLargeError, JSONSeqDecoder, NDJSONDecoder
from tests.core.test_formats import Decoder, bytewise, decoded

# body, events, retry, last event ID; each from a sentence of WHATWG HTML 9.2.5 or 9.2.6
STREAMS: list[tuple[bytes, list[Event], int | None, str | None]] = [
    (b"data: a\n\ndata: b\r\rdata: c\r\n\r\n", [Event("a"), Event("b"), Event("c")], None, None),
    (b"data:a\r\ndata:b\n\r\n", [Event("a\nb")], None, None),
    (b"\xef\xbb\xbfdata: a\n\n", [Event("a")], None, None),
    (b"\n\xef\xbb\xbfdata: a\n\n", [], None, None),
    (b"data\n\ndata\ndata\n\ndata:\n\n", [Event(""), Event("\n"), Event("")], None, None),
    (b"data:  a\ndata: \n\n", [Event(" a\n")], None, None),
    (b": comment\n:\n\n", [], None, None),
    (b"event: x\n\ndata: a\n\n", [Event("a")], None, None),
    (b"event: x\nevent: y\ndata: a\n\ndata: b\n\n", [Event("a", event="y"), Event("b")], None, None),
    (
        b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
        [Event("a", id="1"), Event("b", id="1"), Event("c", id="")],
        None,
        "",
    ),
    (b"id: 1\n\n", [], None, "1"),
    (b"id: 1\n", [], None, None),
    (b"id: 1\nid: a\0\ndata: a\n\n", [Event("a", id="1")], None, "1"),
    (b"retry: 10\nretry: 1x\nretry: -1\nretry: \nretry: 99999999999999999999\n", [], 10, None),
    ("retry: \u0661\n".encode(), [], None, None),
    (b"Data: a\nother: b\n data: c\n\n", [], None, None),
    (b"data: a\xff\xe2\x82\ndata: \xf0\x9f\n\n", [Event("a\ufffd\ufffd\n\ufffd")], None, None),
    (b"event: \xff\nid: \xff\ndata: x\n\n", [Event("x", event="\ufffd", id="\ufffd")], None, "\ufffd"),
    ("data: é€😀\u2028\n\n".encode(), [Event("é€😀\u2028")], None, None),
    (b"data: cut", [], None, None),
    (b"data: cut\n", [], None, None),
    (b"", [], None, None),
]


@pytest.mark.parametrize(("body", "events", "retry", "last"), STREAMS)
def test_event_stream_is_read_as_the_standard_says(
    body: bytes, events: list[Event], retry: int | None, last: str | None
) -> None:
    """The same events, retry and last event ID whether the body comes whole, in two parts or byte by byte."""
    for chunks in ([body], bytewise(body), *([body[:at], b"", body[at:]] for at in range(len(body)))):
        decoder = EventDecoder()
        assert decoded(decoder, chunks) == events
        assert (decoder.retry, decoder.last_event_id) == (retry, last)


def test_event_is_delivered_by_the_byte_that_ends_it() -> None:
    """A CR ends a line at once; the LF that may follow is not waited for."""
    decoder = EventDecoder()
    assert decoder.feed(b"data: a\r\n\r") == [Event("a")]
    assert decoder.feed(b"\ndata: b\n\n") == [Event("b")]


def outcome(decoder: Decoder, chunks: list[bytes]) -> list[Any]:
    """Return items and texts of faults in their order, going on behind each fault."""
    got: list[Any] = []
    for call in [*(lambda c=chunk: decoder.feed(c) for chunk in chunks), *[decoder.close] * 8]:
        try:
            got += call()
        except DecodeError as fault:
            got.append(str(fault).partition(" (")[0])
    return got


# decoder, body, items and faults
VALUES: list[tuple[type[NDJSONDecoder | JSONSeqDecoder], bytes, list[Any]]] = [
    (NDJSONDecoder, b'{"a":1}\r\n\n \t\r\n2\nnull\n', [{"a": 1}, 2, None]),
    (NDJSONDecoder, b"\xef\xbb\xbf1\n2", [1, 2]),
    (NDJSONDecoder, "1\n\ufeff2\n3".encode(), [1, "line 2: Expecting value: line 1 column 1", 3]),
    (NDJSONDecoder, b"1\n\nbad\n2\n", [1, "line 3: Expecting value: line 1 column 1", 2]),
    (NDJSONDecoder, b"NaN\n1", ["line 1: NaN is not JSON", 1]),
    (NDJSONDecoder, b"[1] 2\n", ["line 1: Extra data: line 1 column 5"]),
    (JSONSeqDecoder, b'\x1e{"a":1}\n\x1e\x1e\n\x1e"b"\n', [{"a": 1}, "b"]),
    (JSONSeqDecoder, b"\x1e12\n\x1etrue\n\x1enull \x1e1\t", [12, True, None, 1]),
    (JSONSeqDecoder, b'\x1e{\n "a": [\n  1,\n  {}\n ]\n}\n\x1e[\n]', [{"a": [1, {}]}, []]),
    (JSONSeqDecoder, b'\x1e{"a":1}\x1e[2]\x1e"3"', [{"a": 1}, [2], "3"]),
    (JSONSeqDecoder, b"\x1e12\x1e3\n", ["record 1: a value without a line feed after it may be cut short", 3]),
    (JSONSeqDecoder, b"\x1e1\n\x1e12", [1, "record 2: a value without a line feed after it may be cut short"]),
    (JSONSeqDecoder, b'\x1e{"a\n\x1e2\n', ["record 1: Invalid control character at: line 1 column 4", 2]),
    (JSONSeqDecoder, b"1\n\x1e2\n", ["record 1: there is text outside a record", 2]),
    (JSONSeqDecoder, b"\x1e2\n3\n \n\x1e4\n", [2, "record 2: there is text outside a record", 4]),
    (JSONSeqDecoder, b"\x1e2\n3\x1e4\n", [2, "record 2: there is text outside a record", 4]),
    (JSONSeqDecoder, b"\xef\xbb\xbf\x1e1\n", [1]),
]


@pytest.mark.parametrize(("kind", "body", "expected"), VALUES)
def test_values_and_faults_come_in_order(
    kind: type[NDJSONDecoder | JSONSeqDecoder], body: bytes, expected: list[Any]
) -> None:
    """The same items and the same faults, by number, however the body is cut; nothing behind a fault is lost."""
    for chunks in ([body], bytewise(body), *([body[:at], body[at:]] for at in range(len(body)))):
        assert outcome(kind(), chunks) == expected


def test_json_that_is_not_utf8_is_a_fault() -> None:
    """JSON between systems is UTF-8 (RFC 8259, 8.1)."""
    with pytest.raises(DecodeError, match="utf-8"):
        NDJSONDecoder().feed(b'"\xff"\n')


def test_json_nested_beyond_reason_is_a_fault() -> None:
    """It is refused as one line, and does not take the reader down."""
    decoder = NDJSONDecoder()
    with pytest.raises(DecodeError, match="recursion"):
        decoder.feed(b"[" * 100_000 + b"\n")
    assert decoder.feed(b"1\n") == [1]


def test_fault_follows_the_items_of_its_chunk() -> None:
    """The items come first, then the fault, and a chunk given to the call that raises is kept."""
    decoder = NDJSONDecoder()
    assert decoder.feed(b"1\nbad\n2\n") == [1]
    with pytest.raises(DecodeError) as caught:
        decoder.feed(b"3\n")
    assert caught.value.number == 2
    assert decoder.feed(b"") == [2, 3]


def test_record_is_delivered_at_its_line_feed() -> None:
    """A reader of a live sequence does not wait for the next record."""
    decoder = JSONSeqDecoder()
    assert decoder.feed(b'\x1e{"a":\n') == []
    assert decoder.feed(b"1}\n") == [{"a": 1}]


ENDLESS: list[tuple[type[Decoder], bytes, bytes]] = [
    (EventDecoder, b"data: ", b"x" * 100),
    (EventDecoder, b":", b"x" * 100),
    (EventDecoder, b"id: ", b"x" * 100),
    (EventDecoder, b"event: ", b"x" * 100),
    (EventDecoder, b"", b"data\n"),
    (EventDecoder, b"", b"data: x\n"),
    (NDJSONDecoder, b'"', b"x" * 100),
    (JSONSeqDecoder, b'\x1e"', b"x" * 100),
    (JSONSeqDecoder, b"\x1e[", b"1,\n"),
    (JSONSeqDecoder, b"", b" " * 100),
]


@pytest.mark.parametrize(("kind", "start", "more"), ENDLESS)
def test_memory_is_bounded_against_an_endless_item(kind: Any, start: bytes, more: bytes) -> None:
    """It ends in a clear error after a few times the limit, and the decoder then holds nothing."""
    limit = 20_000
    decoder = kind(max_event_size=limit)
    tracemalloc.start()
    try:
        with pytest.raises(EventTooLargeError, match="20000 bytes") as caught:  # noqa: PT012 - which call is open
            decoder.feed(start)
            for _ in range(limit + 2):
                assert decoder.feed(more) == []
        assert tracemalloc.get_traced_memory()[1] < 8 * limit + 20_000
    finally:
        tracemalloc.stop()
    assert caught.value.limit == limit
    for call in (lambda: decoder.feed(b"data: x\n\n"), decoder.close):
        with pytest.raises(EventTooLargeError):
            call()


@pytest.mark.parametrize(
    ("kind", "body"), [(EventDecoder, b"data: 1234\n\ndata: 12345"), (NDJSONDecoder, b"1234567890\n12345678901")]
)
def test_complete_items_come_before_the_error_of_a_large_one(kind: Any, body: bytes) -> None:
    """What was whole is delivered by the call, the error by the next; cut otherwise, nothing else changes."""
    whole = kind(max_event_size=10)
    assert len(whole.feed(body)) == 1
    with pytest.raises(EventTooLargeError):
        whole.feed(b"")
    single = kind(max_event_size=10)
    with pytest.raises(EventTooLargeError):
        assert len([item for byte in bytewise(body) for item in single.feed(byte)]) == 1


def test_many_small_events_pass_a_small_limit() -> None:
    """The limit is on one event, not on a chunk, nor on comments between events."""
    decoder = EventDecoder(max_event_size=8)
    assert len(decoder.feed(b":\ndata: 1\n\n" * 1000)) == 1000
    assert decoder.feed(b":keep\n" * 1000) == []


def test_limit_can_be_removed() -> None:
    """Only by saying so."""
    assert len(EventDecoder(max_event_size=None).feed(b"data: " + b"x" * 2**21 + b"\n\n")) == 1
    with pytest.raises(EventTooLargeError):
        EventDecoder().feed(b"data: " + b"x" * 2**21 + b"\n\n")


@pytest.mark.parametrize("limit", [0, -1, 1.5, "1"])
def test_limit_that_is_none_is_refused(limit: Any) -> None:
    """When the decoder is made, not at the first chunk."""
    with pytest.raises(ValueError, match=f"max_event_size must be an int of bytes, at least 1, or None; got {limit!r}"):
        NDJSONDecoder(max_event_size=limit)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (EventDecoder, b"data: " + b"x" * 200_000 + b"\n\n"),
        (EventDecoder, b"data: x\n" * 25_000 + b"\n"),
        (NDJSONDecoder, b'"' + b"x" * 200_000 + b'"\n'),
        (JSONSeqDecoder, b"\x1e[\n" + b"1\n,\n" * 50_000 + b"1]\n\x1e"),
        (JSONSeqDecoder, b"\x1e" + b"{}\n" * 3 + b"\n" * 200_000),
    ],
)
def test_single_bytes_take_linear_time(kind: Any, body: bytes) -> None:
    """A long body in single bytes is a matter of a second; a quadratic decoder would run into the test's timeout."""
    decoder = kind()
    for byte in bytewise(body):
        with suppress(DecodeError):
            decoder.feed(byte)
