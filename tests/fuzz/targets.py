"""What reads bytes that a stranger has sent, and what must hold for any of them. One function for each, bytes in.

hypothesis draws inputs in the suite, atheris looks for them in `make soak`; each function raises where something is
not as it should be. The first bytes of an input say how the rest is cut into chunks: see `cut`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from streamkit import (
    NDJSON,
    DecodeError,
    EncodeError,
    EventDecoder,
    EventStream,
    Format,
    JSONSeq,
    JSONSeqDecoder,
    NDJSONDecoder,
    NotAcceptableError,
    TextStream,
)
from streamkit._engine.boundary import EventBoundary, LineBoundary
from streamkit._headers import last_event_id_of
from streamkit._negotiation import choose
from streamkit.channels._entry import read_payload, write_payload
from streamkit.channels._position import checksum, read_positions, text_of, vector_text
from streamkit.llm._relay import Relayed
from streamkit.llm._upstream import UpstreamError
from tests.fuzz.reading import KINDS, MARK, Kind, by_the_letter, cut, outcome, same_for_any_chunks

FORMATS: tuple[Format, ...] = (EventStream(), NDJSON(), JSONSeq(), TextStream())
CHANNELS = {checksum(name): name for name in ("a", "b", "news/é")}


@dataclass(frozen=True)
class Target:
    """One function, the words from which inputs that get far are made, and whether it cuts them into chunks."""

    run: Callable[[bytes], None]
    words: tuple[bytes, ...]
    is_cut: bool = False


# -- decoders ----------------------------------------------------------------------------------------------------


def events(data: bytes) -> None:
    """Whatever comes in whatever chunks, the events are those that the standard says; written anew, they come again."""
    body, (*got, ends) = same_for_any_chunks(EventDecoder, data)
    assert (got, ends) == by_the_letter(body)
    stream = EventStream()
    again = EventDecoder().feed(b"".join(map(stream.encode, got)))
    assert [(event.data, event.event) for event in again] == [(event.data, event.event) for event in got]


def ndjson(data: bytes) -> None:
    """Each line is a value or a fault, however the lines are cut, and a value that was written anew is the same."""
    body, got = same_for_any_chunks(NDJSONDecoder, data)
    lines = [line for line in body.removeprefix(MARK).split(b"\n") if line.strip(b" \t\r")]
    assert len(got) == len(lines)
    _written_anew(NDJSON(), NDJSONDecoder, got)


def jsonseq(data: bytes) -> None:
    """The same for records: none is more than one value, and what is whole, in one line, is one."""
    body, got = same_for_any_chunks(JSONSeqDecoder, data)
    records = body.split(b"\x1e")[1:]
    # Behind an empty line: a mark counts at the beginning of a stream alone, and no record is that.
    lines = [b"\n" + record for record in records if record.find(b"\n") == len(record) - 1]
    whole = [outcome(NDJSONDecoder, [line], None) for line in lines]
    values = [value for value in got if value is not DecodeError]
    assert len(records) >= len(values) >= len([one for one in whole if one not in ([], [DecodeError])])
    _written_anew(JSONSeq(), JSONSeqDecoder, got)


def _written_anew(format: Format, kind: Kind, got: list[Any]) -> None:
    values, frames = [], []
    for value in got:
        if value is not DecodeError:
            with suppress(EncodeError):  # a lone surrogate, a number beyond a float: JSON knows them, and we send none
                frames.append(format.encode(value))
                values.append(value)
    assert outcome(kind, [b"".join(frames)], None) == values


# -- positions, payloads, headers --------------------------------------------------------------------------------


def positions(data: bytes) -> None:
    """Whatever a client sends as its last event ID is a position that reads the same again, or none."""
    header, _, query = data.partition(b"\n")
    for sent in (header, header.decode("latin-1"), header.decode(errors="replace")):
        text = last_event_id_of(sent, query)
        found = None if text is None else read_positions(text, CHANNELS)
        if found is not None:
            assert found.keys() <= set(CHANNELS.values())
            assert re.fullmatch("[0-9a-z.,]+", str(text), re.ASCII)
            again = vector_text(text_of(checksum(name), position) for name, position in found.items())
            assert read_positions(again, CHANNELS) == found


def payloads(data: bytes) -> None:
    """What a log holds is an event, or none that anybody has published; and an event forges no line in any format."""
    with suppress(UnicodeDecodeError):
        stored = write_payload(data.decode(), None)
        assert read_payload(stored, "i").data == data.decode()
    try:
        event = read_payload(data, "i")
        frames = [format.encode(event) for format in FORMATS]
    except ValueError:
        return
    for frame, kind in zip(frames, KINDS, strict=False):
        assert len(outcome(kind, [frame], None)) == 1 + (kind is EventDecoder)
    received = EventDecoder().feed(frames[0])[0]
    assert (received.event, received.id) == (event.event or None, "i")


def accept(data: bytes) -> None:
    """Any Accept header takes a format or none, in any order of its ranges; what is no range changes nothing."""
    text = data.decode("latin-1")
    ranges = text.split(",")
    chosen = [_chosen(", ".join(each)) for each in (ranges, ranges[::-1], [*ranges, "nonsense", "a/b/c;q=1"])]
    assert chosen[0] == chosen[1] == chosen[2]
    assert _chosen(text) == chosen[0]
    assert not text.isascii() or _chosen(text.upper()) == chosen[0]


def _chosen(text: str) -> Format | None:
    try:
        return choose(text, FORMATS)
    except NotAcceptableError:
        return None


# -- foreign streams ---------------------------------------------------------------------------------------------


def boundaries(data: bytes) -> None:
    """Where a foreign stream is said to stand between two events, a filler there changes none; and so for lines."""
    chunks, _ = cut(data)
    body = b"".join(chunks)
    plain, boundary, lines = EventDecoder().feed(body), EventBoundary(), LineBoundary()
    single = EventBoundary()
    sent = b""
    for chunk in chunks:
        at, line_end = boundary.feed(chunk), lines.feed(chunk)
        for place in range(len(chunk)):
            single.feed(chunk[place : place + 1])
        sent += chunk
        assert at == single.at
        assert line_end == (not sent or sent.endswith((b"\n", b"\x1e")))
        if at and (sent or not body.startswith(MARK)):  # who waits for the first byte has no time for a filler
            filled = EventDecoder()
            before, between = filled.feed(sent), filled.feed(b":\ndata: between\n\n")
            assert [(event.data, event.event) for event in between] == [("between", None)]
            assert before + filled.feed(body[len(sent) :]) == plain


def relayed(data: bytes) -> None:
    """What another server sends in whatever chunks, a browser behind a relay gets as one before it, or it was cut."""
    chunks, _ = cut(data)
    direct, behind, stream, relay = EventDecoder(), EventDecoder(), EventStream(), Relayed(None, None, None)
    wanted, got = [], []
    for number, chunk in enumerate(chunks):
        wanted += direct.feed(chunk)
        got += behind.feed(b"".join(map(stream.encode, relay.feed(chunk, number))))
    assert got == wanted
    with suppress(UpstreamError):
        assert not list(relay.end())


_EVENT_WORDS = (
    *(b"data: a\n", b"data: b\r\n", b"data: c\r", b"data\n", b"event: kind\n", b"id: 7\r\n", b"id\n", b"retry: 1000\n"),
    *(
        b": comment\n",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"data",
        b"id: a\0\n",
        b":",
        b" ",
        b"a",
        MARK,
        b"\xc3\xa9",
        b"\xff",
    ),
)
_JSON_WORDS = (
    *(
        b"1",
        b"-0",
        b"1e999",
        b"NaN",
        b"null",
        b'"a"',
        b'"\\ud800"',
        b'"\xc3\xa9"',
        b'{"a": [1, 2]}',
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(b'"', b",", b":", b" ", b"\n", b"\r\n", b"\xff", MARK),
)
_POSITION = next(iter(CHANNELS)).encode() + b".1z.70.2a"

TARGETS = {
    "events": Target(events, _EVENT_WORDS, is_cut=True),
    "ndjson": Target(ndjson, (*_JSON_WORDS, b"1\n", b'{"a":\n'), is_cut=True),
    "jsonseq": Target(
        jsonseq,
        (
            *(b"\x1e", b"\x1e1\n", b"2\n", b'\x1e{"a":\n1}\n', b"\x1e12\x1e", b'"a"\x1e', b"null", b"1e999\n", b"\n"),
            *(b"[", b"]", b"{", b"}", b'"', b",", b":", b" ", b"\xff", MARK, b"\x1e" + MARK + b"2\n"),
        ),
        is_cut=True,
    ),
    "positions": Target(
        positions,
        (
            _POSITION,
            b",",
            *(key.encode() for key in CHANNELS),
            b".1.7.z",
            b".",
            b"1",
            b"z",
            b"!",
            b"\n",
            b"last_event_id=",
        ),
    ),
    "payloads": Target(
        payloads, (b"t", b"j", b"\n", b"\r", b"a", b'"a"', b"{}", b"tkind", b"jkind", b"\xff", b"data: x", b"[1,\n2]")
    ),
    "accept": Target(
        accept,
        (
            *(b"text/event-stream", b"application/x-ndjson", b"application/json-seq", b"text/plain", b"*/*", b"text/*"),
            *(
                b";q=1",
                b";q=0",
                b";q=0.5",
                b";q=0.25",
                b";q=",
                b";charset=x",
                b",",
                b", ",
                b"*/*;q=0,",
                b"*/*;q=1,",
                b" ",
                b"9",
                b".",
            ),
        ),
    ),
    "boundaries": Target(boundaries, _EVENT_WORDS, is_cut=True),
    "relayed": Target(relayed, _EVENT_WORDS, is_cut=True),
}
