"""How a listener of the chaos test reads a response, and what it makes of its events."""

from __future__ import annotations

import random

import pytest

from streamkit import Event
from tests.chaos.judge import GAP, Verdict
from tests.chaos.listeners import Chunks, Listener, Manner
from tests.chaos.publisher import Published
from tests.rig.apps.numbers import NUMBERS, OTHERS

BODY = b"5\r\nhello\r\n1;name=value\r\n \r\nD\r\nworld\r\n again\r\n0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_chunked_body_is_read_however_it_is_cut(size: int) -> None:
    """The pieces of the body come out, whatever the pieces on the wire, and its end is noticed."""
    chunks = Chunks()
    pieces = [chunks.feed(BODY[start : start + size]) for start in range(0, len(BODY), size)]
    assert b"".join(pieces) == b"hello world\r\n again"
    assert chunks.ended


def test_body_without_its_last_chunk_has_not_ended() -> None:
    """A connection that is cut is told from a body that is whole."""
    chunks = Chunks()
    chunks.feed(BODY[:-5])
    assert not chunks.ended


def _listener(manner: Manner, *events: Event) -> Listener:
    listener = Listener(1, manner, random.Random(0))
    for event in events:
        listener.take(event)
    return listener


def test_events_go_to_the_history_of_their_channel() -> None:
    """Numbers and gaps of two channels are told apart, and a cursor is neither."""
    listener = _listener(
        Manner("both", (NUMBERS, OTHERS)),
        Event("{}", event="cursor", id="a"),
        Event("1", id="b"),
        Event("1", event=OTHERS, id="c"),
        Event('{"channel": "others"}', event="gap", id="d"),
        Event("2", id="e"),
    )
    assert listener.histories == {NUMBERS: [1, 2], OTHERS: [1, GAP]}
    assert listener.last_event_id == "e"


def test_event_without_an_id_leaves_the_last_one() -> None:
    """The last event ID outlives a connection, as in a browser."""
    assert _listener(Manner(""), Event("1", id="a"), Event("2")).last_event_id == "a"


def test_each_so_many_th_number_is_judged_as_if_there_were_no_other() -> None:
    """Who is shown every third number misses none of the others, and has come to the end with the last of the third."""
    manner = Manner("every=3", every=3)
    published = {NUMBERS: Published(10, [6])}
    whole = _listener(manner, Event("3"), Event("6"), Event('{"reason": "reset"}', event="gap"), Event("6"), Event("9"))
    assert whole.verdicts(published) == [Verdict(3, gaps=1, published_again=(2,))]
    assert whole.has({NUMBERS: 10})
    part = _listener(manner, Event("3"), Event("9"), Event("10"))
    assert part.verdicts(published) == [Verdict(2, lost=(2,), foreign=(-1,))]
    assert not _listener(manner, Event("3"), Event("6")).has({NUMBERS: 10})


def test_event_of_another_kind_is_a_fault() -> None:
    """What nobody has published is not passed over."""
    verdict = _listener(Manner(""), Event("x", event="strange")).verdicts({NUMBERS: Published()})
    assert verdict == [Verdict(0, foreign=(-1,))]
