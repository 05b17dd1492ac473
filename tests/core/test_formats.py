"""How items are written in each format, and how what was written is read: one table drives encoder and decoder."""

import json
import subprocess
import sys
import warnings
from collections.abc import Iterable
from typing import Any, Protocol

import pytest

from streamkit import (
    NDJSON,
    EncodeError,
    Event,
    EventDecoder,
    EventStream,
    Format,
    JSONSeq,
    JSONSeqDecoder,
    NDJSONDecoder,
    TextStream,
    _json,
    sse,
)

TEXT = EventStream()
JSON = EventStream(json=True)


class Decoder(Protocol):
    """What the three decoders have in common."""

    def feed(self, chunk: bytes) -> list[Any]:
        """Take a chunk."""

    def close(self) -> list[Any]:
        """Take the end."""


def decoded(decoder: Decoder, chunks: Iterable[bytes]) -> list[Any]:
    """Feed all chunks and the end."""
    items = [item for chunk in chunks for item in decoder.feed(chunk)]
    return items + decoder.close()


def bytewise(frame: bytes) -> list[bytes]:
    """Cut into single bytes."""
    return [frame[at : at + 1] for at in range(len(frame))]


def in_use(stream: EventStream) -> EventStream:
    """Let the format write so many dicts that it takes the shorter way from now on."""
    for _ in range(sse._LOOKS):
        stream.encode({})
    return stream


# format, item, its frame, what a client gets (by itself, as the first of its stream)
WRITTEN: list[tuple[Format, object, bytes, list[Any]]] = [
    (TEXT, "hello", b"data: hello\n\n", [Event("hello")]),
    (TEXT, "", b"data: \n\n", [Event("")]),
    (TEXT, " x", b"data:  x\n\n", [Event(" x")]),
    (TEXT, "a\nb", b"data: a\ndata: b\n\n", [Event("a\nb")]),
    (TEXT, "a\r\nb\rc", b"data: a\ndata: b\ndata: c\n\n", [Event("a\nb\nc")]),
    (TEXT, "a\n", b"data: a\ndata: \n\n", [Event("a\n")]),
    (TEXT, "\n", b"data: \ndata: \n\n", [Event("\n")]),
    (TEXT, "\n\nid: 1", b"data: \ndata: \ndata: id: 1\n\n", [Event("\n\nid: 1")]),
    (TEXT, "a\x85\u2028\x0b\x0cb", "data: a\x85\u2028\x0b\x0cb\n\n".encode(), [Event("a\x85\u2028\x0b\x0cb")]),
    (TEXT, "größe\0", "data: größe\0\n\n".encode(), [Event("größe\0")]),
    (TEXT, {"a": [1, None]}, b'data: {"a":[1,null]}\n\n', [Event('{"a":[1,null]}')]),
    (TEXT, {1: "u"}, b'data: {"1":"u"}\n\n', [Event('{"1":"u"}')]),
    (TEXT, {"a": "\u2028ü"}, 'data: {"a":"\\u2028ü"}\n\n'.encode(), [Event('{"a":"\\u2028ü"}')]),
    (TEXT, None, b"data: null\n\n", [Event("null")]),
    (TEXT, Event(None), b"data: null\n\n", [Event("null")]),
    (TEXT, Event("", event="done"), b"event: done\ndata: \n\n", [Event("", event="done")]),
    (TEXT, Event("x", event=""), b"event: \ndata: x\n\n", [Event("x")]),
    (TEXT, Event("x", event="e", retry=5), b"event: e\nretry: 5\ndata: x\n\n", [Event("x", event="e")]),
    (TEXT, Event("x", id="1", retry=5), b"id: 1\nretry: 5\ndata: x\n\n", [Event("x", id="1")]),
    (TEXT, Event(id="7"), b"id: 7\n\n", []),
    (TEXT, Event(id=""), b"id: \n\n", []),
    (TEXT, Event(comment="a\nb\r"), b": a\n: b\n: \n", []),
    (TEXT, Event(retry=5), b"retry: 5\n", []),
    (TEXT, Event(retry=5, comment="x"), b": x\nretry: 5\n", []),
    (
        TEXT,
        Event("a\nb", event="e", id="é", retry=0, comment="c"),
        ": c\nevent: e\nid: é\nretry: 0\ndata: a\ndata: b\n\n".encode(),
        [Event("a\nb", event="e", id="é")],
    ),
    (TEXT, sse.EncodedEvent(b"a\nb", is_json=False, id="1"), b"id: 1\ndata: a\ndata: b\n\n", [Event("a\nb", id="1")]),
    (JSON, sse.EncodedEvent(b"a\nb", is_json=False), b'data: "a\\nb"\n\n', [Event('"a\\nb"')]),
    (TEXT, sse.EncodedEvent(b'"x"', is_json=True, event="e"), b'event: e\ndata: "x"\n\n', [Event('"x"', event="e")]),
    (JSON, sse.EncodedEvent(b'"x"', is_json=True), b'data: "x"\n\n', [Event('"x"')]),
    (JSON, "\n", b'data: "\\n"\n\n', [Event('"\\n"')]),
    (JSON, Event("x", id="1"), b'id: 1\ndata: "x"\n\n', [Event('"x"', id="1")]),
    (JSON, "\x85\u2028\u2029", b'data: "\\u0085\\u2028\\u2029"\n\n', [Event('"\\u0085\\u2028\\u2029"')]),
    (EventStream(dumps=lambda obj: b"7"), {"a": 1}, b"data: 7\n\n", [Event("7")]),
    (
        EventStream(dumps=lambda obj: json.dumps(obj, indent=1)),
        [1],
        b"data: [\ndata:  1\ndata: ]\n\n",
        [Event("[\n 1\n]")],
    ),
    (NDJSON(), "a\nb", b'"a\\nb"\n', ["a\nb"]),
    (NDJSON(), None, b"null\n", [None]),
    (NDJSON(), {"a": "\x85é"}, '{"a":"\\u0085é"}\n'.encode(), [{"a": "\x85é"}]),
    (
        NDJSON(),
        Event("x", event="e", id=1),
        b'{"data":"x","event":"e","id":"1"}\n',
        [{"data": "x", "event": "e", "id": "1"}],
    ),
    (NDJSON(), Event(None), b'{"data":null}\n', [{"data": None}]),
    (NDJSON(), Event(id="7", comment="x"), b'{"id":"7"}\n', [{"id": "7"}]),
    (NDJSON(), Event(comment="x", retry=1), b"", []),
    (NDJSON(dumps=lambda obj: b"7"), [1], b"7\n", [7]),
    (JSONSeq(), {"a": 1}, b'\x1e{"a":1}\n', [{"a": 1}]),
    (JSONSeq(), 12, b"\x1e12\n", [12]),
    (JSONSeq(), Event("x"), b'\x1e{"data":"x"}\n', [{"data": "x"}]),
    (JSONSeq(), Event(retry=1), b"", []),
    (
        JSONSeq(dumps=lambda obj: json.dumps(obj, indent=1)),
        {"a": [{}, 1]},
        b'\x1e{\n "a": [\n  {},\n  1\n ]\n}\n',
        [{"a": [{}, 1]}],
    ),
]


def decoder_of(format: Format) -> Decoder:
    """Return a decoder for what the format writes."""
    if isinstance(format, EventStream):
        return EventDecoder()
    return NDJSONDecoder() if isinstance(format, NDJSON) else JSONSeqDecoder()


@pytest.mark.parametrize(("format", "item", "frame", "received"), WRITTEN)
def test_item_is_written_and_read_back(format: Format, item: object, frame: bytes, received: list[Any]) -> None:
    """The frame is exactly this, and a client gets exactly that, however the frame is cut."""
    assert format.encode(item) == frame
    assert decoded(decoder_of(format), [frame]) == received
    assert decoded(decoder_of(format), bytewise(frame)) == received


@pytest.mark.parametrize(("format", "item", "frame", "received"), WRITTEN)
def test_keepalive_between_frames_reaches_no_reader(
    format: Format, item: object, frame: bytes, received: list[Any]
) -> None:
    """The filler before and after a frame changes nothing of what is received."""
    chunks = [format.keepalive, frame, format.keepalive * 2]
    assert decoded(decoder_of(format), chunks) == received


@pytest.mark.parametrize(
    ("item", "frame"),
    [
        ("a\r\nb", "a\r\nb"),
        ("", ""),
        (Event("x", id="1"), "x"),
        (Event("", event="done"), ""),
        (Event(id="1"), ""),
        (Event(comment="x"), ""),
        ({"a": 1}, '{"a":1}'),
        (Event({"a": 1}), '{"a":1}'),
        (1, "1"),
    ],
)
def test_plain_text_is_the_data_alone(item: object, frame: str) -> None:
    """Text stands as it is, other values as JSON, and fields of an event have no place."""
    assert TextStream().encode(item) == frame.encode()


@pytest.mark.parametrize("format", [TEXT, JSON, NDJSON(), JSONSeq(), TextStream()])
@pytest.mark.parametrize("item", [b"x", bytearray(b"x"), memoryview(b"x"), Event(b"x"), [{"a": b"x"}], {1: b"x"}])
def test_bytes_are_refused_in_every_format(format: Format, item: object) -> None:
    """Bytes have no encoding of their own, so the author is told to decode them."""
    with pytest.raises(EncodeError, match="decode it to str first") as caught:
        format.encode(item)
    assert caught.value.item_type in ("bytes", "bytearray", "memoryview")
    assert caught.value.index is None


@pytest.mark.parametrize("format", [EventStream(dumps=repr), NDJSON(dumps=repr), JSONSeq(dumps=repr)])
def test_bytes_are_refused_before_a_custom_encoder(format: Format) -> None:
    """An encoder of one's own changes how values are written, not which are."""
    with pytest.raises(EncodeError, match="decode it to str first"):
        format.encode(b"x")


@pytest.mark.parametrize("format", [TEXT, JSON, NDJSON(), JSONSeq(), TextStream()])
def test_lone_surrogate_is_refused_in_every_format(format: Format) -> None:
    """It has no UTF-8, and a replacement would be a silent change."""
    for item in ("x\ud800", ["\udfff"], {"\ud800": 1}, Event("a\n\ud800")):
        with pytest.raises(EncodeError, match="lone surrogate"):
            format.encode(item)


@pytest.mark.parametrize(
    ("frame", "merged"),
    [
        (b"data: x\n\n", b"retry: 9\ndata: x\n\n"),
        (b"data: retry: 1\ndata: x\n\n", b"retry: 9\ndata: retry: 1\ndata: x\n\n"),
        (b": c\nid: 1\ndata: x\ndata: y\n\n", b": c\nid: 1\nretry: 9\ndata: x\ndata: y\n\n"),
        (b"id: 1\nretry: 5\ndata: x\n\n", b"id: 1\nretry: 5\ndata: x\n\n"),
        (b"retry: 5\ndata: x\n\n", b"retry: 5\ndata: x\n\n"),
        (b"id: 1\n\n", b"id: 1\n\n"),
        (b": data: x\n", b": data: x\n"),
        (b":\n", b":\n"),
    ],
)
def test_retry_joins_an_event_with_data_alone(frame: bytes, merged: bytes) -> None:
    """It stands inside an event with data that has none of its own; no other frame is changed."""
    assert TEXT.with_retry(frame, 9) == merged


def test_format_without_retry_returns_the_same_frame() -> None:
    """Only an event stream has a place for it."""
    frame = b"{}\n"
    assert NDJSON().with_retry(frame, 9) is frame


def test_format_of_ones_own_must_write() -> None:
    """A subclass without encode() is told its name."""

    class Mine(Format):
        media_type = "text/x-mine"

    with pytest.raises(NotImplementedError, match="Mine"):
        Mine().encode("x")


@pytest.mark.parametrize("line", ['{\n"a":1}', "1\r"])
def test_line_break_from_a_custom_encoder_is_refused_in_ndjson(line: str) -> None:
    """It would make two lines of one item."""
    with pytest.raises(EncodeError, match="line break"):
        NDJSON(dumps=lambda obj: line).encode([1])


def test_record_separator_from_a_custom_encoder_is_refused_in_json_seq() -> None:
    """It would make two records of one item."""
    with pytest.raises(EncodeError, match="record separator"):
        JSONSeq(dumps=lambda obj: '"\x1e"').encode([1])


@pytest.mark.parametrize("dumps", [None, _json.dumps])
def test_dict_of_field_names_is_data_and_warns_once(dumps: _json.Dumps | None) -> None:
    """The habit of another library is met with one hint, and the item is still JSON."""
    sse._warn_of_dict.cache_clear()
    format = EventStream(dumps=dumps)
    with pytest.warns(UserWarning, match=r"Event\(\*\*d\)") as caught:
        assert format.encode({"data": 1, "id": 2}) == b'data: {"data":1,"id":2}\n\n'
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        format.encode({"data": 1})
        sse._warn_of_dict.cache_clear()
        format.encode({"event": 1})
        format.encode({"data": 1, "other": 2})


def test_hint_about_dicts_is_given_at_the_first_hundred_of_a_format_alone() -> None:
    """Who has sent so many that were data means data; and each dict after them costs a tenth less."""
    sse._warn_of_dict.cache_clear()
    stream = EventStream()
    for _ in range(99):
        stream.encode({"token": "x"})
    with pytest.warns(UserWarning, match=r"Event\(\*\*d\)"):
        stream.encode({"data": 1})
    sse._warn_of_dict.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stream.encode({"data": 1})


def test_defaults_of_each_format() -> None:
    """The media types are as registered or in use, and the fillers as clients bear them."""
    formats = (TEXT, NDJSON(), JSONSeq(), TextStream())
    assert [(f.media_type, f.keepalive, f.keepalive_by_default) for f in formats] == [
        ("text/event-stream", b":\n", True),
        ("application/x-ndjson", b"\n", False),
        ("application/json-seq", b"\x1e", True),
        ("text/plain; charset=utf-8", b"", False),
    ]
    assert NDJSON(media_type="application/jsonl").media_type == "application/jsonl"


def test_import_loads_the_standard_library_alone() -> None:
    """Neither asyncio nor a JSON library comes with `import streamkit`."""
    code = "import sys; before = set(sys.modules); import streamkit; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    outside = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - {"streamkit"}
    assert not outside
    assert "asyncio" not in loaded
