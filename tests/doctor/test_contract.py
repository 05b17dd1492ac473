"""What may be asked of a probe: whitelisted, bounded, and read as it was written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit import EventDecoder, NDJSONDecoder
from streamkit.doctor._battery import HTTP2, SECOND_ROUND, VARIANTS, Asking, idle_variants
from streamkit.doctor._contract import LONGEST, ProbeRequest, encode, told


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("n=0", "n must be from 1 to 500; got 0"),
        ("n=501", "n must be from 1 to 500; got 501"),
        ("gap=5001", "gap must be from 0 to 5000; got 5001"),
        ("size=16385", "size must be from 0 to 16384; got 16385"),
        ("first=5001", "first must be from 0 to 5000; got 5001"),
        ("silence=300001", "silence must be from 0 to 300000; got 300001"),
        ("n=-1", "n must be a whole number; got '-1'"),
        ("n=1e3", "n must be a whole number; got '1e3'"),
        ("n=1_0", "n must be a whole number; got '1_0'"),
        ("n=", "n must be a whole number; got ''"),
        ("n=9999999999999999999", "n must be a whole number"),
        ("kind=html", "kind must be one of sse, ndjson; got 'html'"),
        ("h=accel,set-cookie", "h must be of accel, no-cache, no-transform, identity; got 'set-cookie'"),
        ("x=1", "a probe has no parameter 'x'"),
        ("n=500&gap=5000", "a probe lasts at most 330000 ms; this one would last 2495000"),
        ("n=500&size=16384&gap=0", "a probe has at most 4194304 bytes"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(query: str, says: str) -> None:
    """The error names the parameter and shows the value."""
    with pytest.raises(ValueError, match="^" + says.replace("(", r"\(")):
        ProbeRequest.parse(query)


@given(st.text())
def test_any_query_is_read_or_refused(query: str) -> None:
    """No query raises anything else, and what is read is bounded."""
    try:
        request = ProbeRequest.parse(query)
    except ValueError:
        return
    assert request.duration <= LONGEST


@pytest.mark.parametrize(
    "asking",
    [*VARIANTS, HTTP2, *SECOND_ROUND, *idle_variants(0.1), *idle_variants(300)],
    ids=lambda one: one.variant.name,
)
def test_probe_reads_what_the_doctor_writes(asking: Asking) -> None:
    """Each variant is within the limits, and arrives as it was meant."""
    probe = asking.probe
    assert ProbeRequest.parse(probe.query(v="word", token="secret")) == probe


def test_schedule_is_absolute_with_silence_in_the_middle() -> None:
    """Frames are due by the clock of the head, so one that is late delays no other."""
    probe = ProbeRequest(n=4, gap=100, first=50, silence=1000)
    assert list(probe.schedule()) == [0.05, 0.15, 1.25, 1.35]
    assert probe.duration == 1350


@pytest.mark.parametrize(
    ("switches", "headers"),
    [
        ((), []),
        (("accel",), [("X-Accel-Buffering", "no")]),
        (("no-cache", "no-transform"), [("Cache-Control", "no-cache, no-transform")]),
        (("identity",), [("Content-Encoding", "identity")]),
    ],
)
def test_plain_answer_carries_no_header_that_cures(switches: tuple[str, ...], headers: list[tuple[str, str]]) -> None:
    """Only what is asked for is added to the type."""
    assert ProbeRequest(h=switches).headers() == [("Content-Type", "text/event-stream"), *headers]


def test_frames_are_events_and_lines_of_json() -> None:
    """Both kinds carry the same object."""
    (event,) = EventDecoder().feed(encode("sse", {"seq": 1}))
    assert json.loads(str(event.data)) == {"seq": 1}
    assert NDJSONDecoder().feed(encode("ndjson", {"seq": 1})) == [{"seq": 1}]


def test_echo_is_a_whitelist_and_short() -> None:
    """Neither cookies nor credentials are told, and no value is longer than 200 characters."""
    headers = {"via": "1.1 proxy", "cookie": "secret", "authorization": "secret", "x-forwarded-for": "1" * 300}
    assert told("1.1", headers) == {"http_version": "1.1", "via": "1.1 proxy", "x-forwarded-for": "1" * 200}
