"""What `assert_well_formed` refuses, with the rule and the place."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit import NDJSON, Event, EventStream, JSONSeq, StreamPolicy, TextStream, wsgi
from streamkit.testing import MalformedError, assert_well_formed, open_stream

SSE = "text/event-stream"
SEQ = "application/json-seq"
LINES = "application/x-ndjson"

FAULTS = [
    (SSE, b"\xef\xbb\xbfdata: a\n\n", "byte order mark", 0),
    (SSE, b"data: a\n\ndata: b\r\n\r\n", "LF alone", 9),
    (SSE, b"data: a\n\ndata: \xff\n\n", "UTF-8", 9),
    (SSE, b"data: a\n\ndata: b\n", "blank line", 9),
    (SSE, b"data: a\n\nid: 1\n", "blank line", 9),
    (SSE, b"data: a\n\ndata: b", "end of a line", 9),
    (SSE, b"data: a\n\n\n", "here there is none", 9),
    (SSE, b"data: a\n\n:\n\n", "after a comment or a retry alone", 9),
    (SSE, b"data: a\n\nretry: 5\n\n", "after a comment or a retry alone", 9),
    (SSE, b"data: a\n\nevent: end\n\n", "a type has data", 9),
    (SSE, b"data: a\nfoo: 1\n\n", "a field is", 8),
    (SSE, b"data: a\nid: a\0b\n\n", "no NUL", 8),
    (SSE, b"data: a\nretry: 1s\n\n", "digits", 8),
    (SSE, b"data: a\nretry: 2147483648\n\n", "digits", 8),
    (LINES, b"1\n2", "end of a line", 2),
    (LINES, b"1\n1 2\n", "one JSON value", 2),
    (LINES, b"1\n[NaN]\n", "NaN is not JSON", 2),
    (LINES, b'1\n"\xe2\x80\xa8"\n', r"U\+2028", 2),
    (LINES, b'1\n"\xc2\x85"\n', r"U\+0085", 2),
    (SEQ, b"1\n", "begins with RS", 0),
    (SEQ, b"\x1e1\n\x1e2\x1e3\n", "cut short", 3),
    (SEQ, b"\x1e1\n\x1e{\n", "one JSON value", 3),
    (SEQ, b"\x1e1\n\x1e1", "end of a line", 3),
    ("text/plain", b"a\n\xff", "UTF-8", 2),
]

SOUND = [
    (SSE, b""),
    (SSE, b":\n:\ndata: a\nid: 1\nevent: b\nretry: 5\n\nid: 2\n\n: note\ndata\n\n:\nretry: 1000\n"),
    (LINES, b'1\n\n{"a": "\xc3\xa9"}\n'),
    ("application/jsonl; charset=utf-8", b"1\n"),
    (SEQ, b"\x1e1\n\x1e\x1e[]\n\x1e"),
    ("text/plain", b"a\r\nb"),
]


@pytest.mark.parametrize(("kind", "body", "rule", "offset"), FAULTS)
def test_fault_is_named_with_its_place(kind: str, body: bytes, rule: str, offset: int) -> None:
    """The offset is that of the line or the event."""
    with pytest.raises(MalformedError, match=rule) as raised:
        assert_well_formed(body, kind)
    assert raised.value.offset == offset
    assert raised.value.line == body[offset:].partition(b"\n")[0]
    assert f"at byte {offset}: {raised.value.line!r}" in str(raised.value)


@pytest.mark.parametrize(("kind", "body"), SOUND)
def test_what_is_sound_passes(kind: str, body: bytes) -> None:
    """Keepalives and a farewell are part of a sound body."""
    assert_well_formed(body, kind)


@pytest.mark.parametrize("form", [EventStream(), EventStream(json=True), NDJSON(), JSONSeq(), TextStream()])
def test_what_streamkit_writes_is_sound(form: Any) -> None:
    """All formats keep the rules."""
    items = ["a\nb\u2028\x85", {"n": [1, None]}, Event("x", event="t", id="1", retry=5), Event(id="2"), ""]
    app = wsgi.NDJSONResponse(items, format=form, policy=StreamPolicy(retry=1000, keepalive=None))
    with open_stream(app, "GET", "/") as events:
        assert_well_formed(events.read(), events.headers["Content-Type"])


def test_unknown_media_type_is_refused() -> None:
    """There are rules for the formats of streamkit alone."""
    with pytest.raises(ValueError, match=r"must be one of text/event-stream, .*, not 'text/html'"):
        assert_well_formed(b"", "text/html")
