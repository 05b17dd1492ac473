"""Where a foreign stream stands between two frames, however its bytes are cut into chunks."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit._engine.boundary import Boundary, EventBoundary, LineBoundary

EVENTS = [
    (b"", True),
    (b"data: a", False),
    (b"data: a\n", False),
    (b"data: a\n\n", True),
    (b"data: a\r\n\r\n", True),
    (b"data: a\r\r", True),
    (b"data: a\r\n\n", True),
    (b"data: a\n\r\n", True),
    (b"data: a\n\r", False),
    (b"data: a\r\n\r", False),
    (b"data: a\r\n\r\r", True),
    (b": ping\r", False),
    (b"data: a\r\n", False),
    (b"data: a\n\n\n\n", True),
    (b"data: a\n\nid: 7\n", False),
    (b": ping", False),
    (b": ping\n", True),
    (b": ping\r\n", True),
    (b"data: a\n: ping\n", False),
    (b"data: a\n\n: ping\n", True),
    (b"data: a\n\n:\n:\n", True),
    (b"\n", True),
    (b"data\n", False),
    (b" \n", False),
    (b"data: a\x0b\x0b", False),
]


@pytest.mark.parametrize(("sent", "at"), EVENTS)
def test_event_stream_stands_between_events_after_a_blank_line(sent: bytes, at: bool) -> None:
    """Whole, and byte by byte."""
    assert EventBoundary().feed(sent) is at
    single = EventBoundary()
    for number in range(len(sent)):
        single.feed(sent[number : number + 1])
    assert single.at is at


def _lines_say(sent: bytes) -> bool:
    """Tell by the rules of the standard, over the whole text."""
    *lines, rest = re.split(rb"\r\n|\n|\r", sent)
    fields = 0
    for line in lines:
        fields = 0 if not line else fields + (not line.startswith(b":"))
    half_of_crlf = sent.endswith(b"\r") and not sent.endswith(b"\r\r")
    return not (rest or fields or half_of_crlf)


@given(st.lists(st.text("a:\r\n", max_size=3).map(str.encode), max_size=9))
def test_event_boundary_is_the_same_however_chunks_are_cut(chunks: list[bytes]) -> None:
    """At the end of each chunk it says what the whole text up to there says."""
    boundary, sent = EventBoundary(), b""
    for chunk in chunks:
        sent += chunk
        assert boundary.feed(chunk) is _lines_say(sent)


def test_lines_and_records_end_with_a_line_feed() -> None:
    """The RS of a filler too stands between two records."""
    boundary = LineBoundary()
    assert boundary.at
    assert [boundary.feed(chunk) for chunk in (b'{"a"', b":1}", b"", b"\n", b"", b"\x1e", b"1\n2", b"3\n")] == [
        *(False, False, False),
        *(True, True, True),
        *(False, True),
    ]


def test_nothing_is_known_of_other_bytes() -> None:
    """So they never stand between two frames, and not before the first."""
    boundary = Boundary()
    assert not boundary.at
    assert not boundary.feed(b"a,b\n\n")
