"""From a proxy to the mechanisms that are named, without a network: each rule, and the layers that are peeled."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import pytest

from streamkit.doctor._battery import HTTP2, SECOND_ROUND, VARIANTS, Asking, idle_variants
from streamkit.doctor._diagnosis import diagnose, verdict
from streamkit.doctor._observation import Observation
from tests.doctor.simulated import (
    Pairs,
    Path,
    Proxy,
    battery,
    buffer,
    first,
    jitter,
    observe,
    one_late,
    pieces,
    tail_of,
    through,
    timer,
    whole,
)

ACCEL = frozenset({"accel"})
NO_TRANSFORM = frozenset({"no-transform"})
IDENTITY = frozenset({"identity"})


def only(name: str, path: Proxy) -> Proxy:
    """Do it to variants whose name begins so, and nothing to the others."""
    free = buffer(through)
    return lambda asking: (path if asking.variant.name.startswith(name) else free)(asking)


def held_over_http1(asking: Asking) -> Observation:
    """Hold all but HTTP/2."""
    return observe(asking, through if asking.http2 else timer(0.2))


def nginx_before_haproxy(asking: Asking) -> Observation:
    """Hold everything; without the outer buffer, the timer behind it shows."""
    return observe(asking, timer(0.2) if "accel" in asking.probe.h else pieces(4096))


def second_hop_in_beat(asking: Asking) -> Observation:
    """Hold 900 bytes; what a header adds or takes is a frame more or less, and no second hop."""
    return observe(asking, pieces(880 if "accel" in asking.probe.h else 960))


def gzip_of_ndjson(asking: Asking) -> Observation:
    """Compress NDJSON alone, as a list of types may say, unless both headers forbid it."""
    held = asking.probe.kind == "ndjson" and not asking.probe.h
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"} if held else None
    return observe(asking, whole if held else through, headers=headers)


# What stands in the way, the mechanisms that are errors, the verdict, and a line of the cure.
CASES: dict[str, tuple[Proxy, set[str], str, str]] = {
    "nothing": (buffer(through), set(), "streams", ""),
    "whole body": (buffer(whole), {"whole-body"}, "buffers", "proxy_buffering off"),
    "whole body, accel": (buffer(whole, cured_by=ACCEL), {"whole-body"}, "buffers", "X-Accel-Buffering: no"),
    "4 KB": (buffer(pieces(4096)), {"whole-body", "byte-quantum"}, "buffers", "proxy_buffering off"),
    "4 KB, accel": (
        buffer(pieces(4096), cured_by=ACCEL),
        {"whole-body", "byte-quantum"},
        "buffers",
        "X-Accel-Buffering: no",
    ),
    "64 KB": (buffer(pieces(65_536)), {"whole-body", "byte-quantum"}, "buffers", "response_buffers"),
    "first 600 bytes": (buffer(first(600)), {"byte-quantum"}, "buffers", "response_buffers"),
    "first 600 bytes, accel": (
        buffer(first(600), cured_by=ACCEL),
        {"byte-quantum"},
        "buffers",
        "X-Accel-Buffering: no",
    ),
    "first 600 bytes of gzip": (
        buffer(first(600), for_gzip=True, encoding="gzip"),
        {"compressed"},
        "buffers",
        "what is compressed",
    ),
    "first 4 KB": (buffer(first(4096)), {"whole-body", "byte-quantum"}, "buffers", "response_buffers"),
    "first 16 KB": (buffer(first(16_384)), {"whole-body", "byte-quantum"}, "buffers", "response_buffers"),
    "first 128 KB": (buffer(first(131_072)), {"whole-body", "byte-quantum"}, "buffers", "response_buffers"),
    "128 KB": (buffer(pieces(131_072)), {"whole-body", "byte-quantum"}, "buffers", "response_buffers"),
    "1.2 s": (buffer(timer(1.2)), {"time-quantum"}, "buffers", "http-no-delay"),
    "2 s": (buffer(timer(2.0)), {"time-quantum"}, "buffers", "http-no-delay"),
    "NDJSON compressed, both": (gzip_of_ndjson, {"compressed"}, "buffers", "no-transform"),
    "a frame more or less": (second_hop_in_beat, {"whole-body", "byte-quantum"}, "buffers", "response_buffers"),
    "500 bytes": (buffer(pieces(500)), {"byte-quantum"}, "buffers", "proxy_buffering off"),
    "200 ms": (buffer(timer(0.2)), {"time-quantum"}, "buffers", "http-no-delay"),
    "1 s": (buffer(timer(1.0)), {"time-quantum"}, "buffers", "http-no-delay"),
    "200 ms over HTTP/1.1": (held_over_http1, {"time-quantum"}, "buffers", "http-no-delay"),
    "one late": (buffer(one_late), {"tail-lag"}, "buffers", "proxy_buffering off"),
    "rest of a page, accel": (buffer(tail_of(4096), cured_by=ACCEL), {"tail-lag"}, "buffers", "X-Accel-Buffering: no"),
    "gzip": (buffer(whole, for_gzip=True, encoding="gzip"), {"compressed"}, "buffers", "what is compressed"),
    "gzip, no-transform": (
        buffer(whole, for_gzip=True, encoding="gzip", cured_by=NO_TRANSFORM),
        {"compressed"},
        "buffers",
        "no-transform",
    ),
    "gzip, accel": (
        buffer(whole, for_gzip=True, encoding="gzip", cured_by=ACCEL),
        {"compressed"},
        "buffers",
        "X-Accel-Buffering: no",
    ),
    "gzip, identity": (
        buffer(whole, for_gzip=True, encoding="gzip", cured_by=IDENTITY),
        {"compressed"},
        "buffers",
        "do_gzip",
    ),
    "gzip that hides": (buffer(whole, cured_by=IDENTITY), {"whole-body", "compressed"}, "buffers", "do_gzip"),
    "gzip that flushes": (buffer(through, for_gzip=True, encoding="gzip"), set(), "streams", ""),
    "gzip from a size on": (
        only("bulk-", buffer(pieces(30_000), for_gzip=True, encoding="gzip")),
        {"compressed"},
        "buffers",
        "what is compressed",
    ),
    "two hops": (nginx_before_haproxy, {"whole-body", "byte-quantum", "time-quantum"}, "buffers", "http-no-delay"),
    "NDJSON alone": (only("ndjson", buffer(whole)), {"whole-body"}, "buffers", "proxy_buffering off"),
    "large events, 16 KB": (
        only("large", buffer(pieces(16_000), cured_by=ACCEL)),
        {"byte-quantum"},
        "buffers",
        "X-Accel-Buffering: no",
    ),
    "HTTP/2 alone": (only("http2", buffer(whole)), {"whole-body"}, "buffers", "proxy_buffering off"),
}


@pytest.mark.parametrize(("proxy", "mechanisms", "expected", "line"), CASES.values(), ids=CASES)
def test_mechanism_is_named_with_its_cure(proxy: Proxy, mechanisms: set[str], expected: str, line: str) -> None:
    """The variants that it holds, and those that it lets go, say which it is."""
    findings = diagnose(battery(proxy, (HTTP2, *SECOND_ROUND)))
    assert {finding.mechanism for finding in findings if finding.severity == "error"} == mechanisms
    assert verdict(findings) == expected
    assert ("streamed" in {finding.mechanism for finding in findings}) == (expected == "streams")
    assert line in "\n".join(finding.cure for finding in findings)


PRODUCTS: list[dict[str, str]] = [
    {"server": "nginx/1.31.3"},
    {"server": "nginx", "via": "1.1 Caddy"},
    {"server": "envoy", "x-envoy-upstream-service-time": "3"},
    {"via": "1.1 varnish", "x-varnish": "7"},
    {"server": "cloudflare", "cf-ray": "1"},
]


@pytest.mark.parametrize("headers", PRODUCTS, ids=lambda headers: " ".join(headers.values()))
@pytest.mark.parametrize("path", [through, whole, pieces(4096), timer(0.2), one_late], ids=range(5))
def test_headers_of_products_change_no_verdict(headers: dict[str, str], path: Path) -> None:
    """Whatever a product says of itself, the mechanisms are those that are seen without."""

    def named(extra: dict[str, str]) -> list[tuple[str, str]]:
        findings = diagnose(battery(buffer(path, headers=extra), SECOND_ROUND))
        return [(finding.mechanism, finding.severity) for finding in findings]

    assert named(headers) == named({})


def test_fingerprint_chooses_the_words_and_says_that_it_guesses() -> None:
    """A known product gets its own lines, marked as a guess."""
    (finding,) = diagnose(battery(buffer(whole, headers={"server": "lighttpd/1.4"})))
    assert "server.stream-response-body = 1" in finding.cure
    assert "guess" in finding.cure
    assert "lighttpd: a guess" in finding.suspect


def test_compression_that_flushes_is_mentioned_and_no_alarm() -> None:
    """It costs time of the CPU and holds nothing."""
    findings = diagnose(battery(CASES["gzip that flushes"][0]))
    assert [(finding.mechanism, finding.severity) for finding in findings] == [
        ("streamed", "ok"),
        ("compressed", "info"),
    ]


@pytest.mark.parametrize("cured", [True, False])
def test_late_head_is_a_warning(cured: bool) -> None:
    """The stream streams, but its head waited for the first event."""
    findings = diagnose(battery(buffer(through, head_waits=True, cured_by=ACCEL if cured else frozenset())))
    assert [finding.mechanism for finding in findings] == ["streamed", "headers-late"]
    assert ("X-Accel-Buffering: no" in findings[1].cure) == cured
    assert verdict(findings) == "streams"


@pytest.mark.parametrize("names", [("gzip", "ndjson"), ("ndjson", "ndjson-both")])
def test_head_that_waits_for_a_compressor_is_a_warning(names: tuple[str, ...]) -> None:
    """Asked without gzip it comes at once, so only who asks with gzip, or for another type, sees it."""
    findings = diagnose(battery(lambda asking: observe(asking, head_waits=asking.variant.name in names)))
    assert [finding.mechanism for finding in findings] == ["streamed", "headers-late"]
    assert "compressor" in findings[1].suspect
    assert verdict(findings) == "streams"


def test_one_stall_at_the_start_is_no_buffer() -> None:
    """What holds bulk for as long as small events holds by no number of bytes."""

    def stalled(sent: Pairs, end: float) -> Pairs:
        return [(max(at, 0.75), size) for at, size in sent]

    assert verdict(diagnose(battery(buffer(stalled)))) == "streams"


@pytest.mark.parametrize("stubborn", [True, False])
def test_recording_is_known_by_its_nonce(stubborn: bool) -> None:
    """What the origin drew for one answer comes in two."""

    def proxy(asking: Asking) -> Observation:
        shared = asking.same_url is not None and (stubborn or asking.same_url != "fresh")
        return observe(asking, nonce=asking.same_url if shared and asking.same_url else "")

    findings = diagnose(battery(proxy))
    assert [finding.mechanism for finding in findings] == ["replayed"]
    assert ("return (pass)" in findings[0].cure) == stubborn
    assert verdict(findings) == "broken"


IDLE, ACTIVE = idle_variants(4)


def test_silence_that_is_cut_is_told_from_age_that_is_cut() -> None:
    """The companion that is never silent tells which of the two it is."""
    silent = observe(IDLE, stop=2.3, ending="cut")
    idle = diagnose([*battery(buffer(through)), silent, observe(ACTIVE)])
    age = diagnose([*battery(buffer(through)), silent, observe(ACTIVE, stop=2.3, ending="cut")])
    assert [finding.mechanism for finding in idle] == ["idle-cut"]
    assert "after 2.0 s of silence" in idle[0].evidence
    assert [finding.mechanism for finding in age] == ["total-cut"]
    assert verdict(idle) == verdict(age) == "broken"


def test_silence_that_ends_as_if_whole_is_both() -> None:
    """A cut that looks like an end is worse than a cut."""
    findings = diagnose([*battery(buffer(through)), observe(IDLE, stop=2.3), observe(ACTIVE)])
    assert [finding.mechanism for finding in findings] == ["idle-cut", "truncated-clean"]


@pytest.mark.parametrize("status", [502, 504])
def test_silence_answered_by_a_gateway_is_an_idle_cut(status: int) -> None:
    """Behind a buffer the head itself has waited too long."""
    silent = replace(observe(IDLE, stop=0.0), status=status, frames=(), ended_at=2.0)
    findings = diagnose([*battery(buffer(through)), silent, observe(ACTIVE)])
    assert findings[0].mechanism == "idle-cut"
    assert str(status) in findings[0].evidence


def test_silence_left_hanging_is_an_idle_cut() -> None:
    """A proxy that forgets to tell its client leaves it waiting."""
    findings = diagnose([*battery(buffer(through)), observe(IDLE, stop=2.0, ending="timeout"), observe(ACTIVE)])
    assert "left hanging" in findings[0].evidence


def test_streams_that_are_all_cut_at_one_age_are_cut_by_their_age() -> None:
    """No silence, the same time, all of them."""
    findings = diagnose(battery(lambda asking: observe(asking, stop=1.0, ending="cut")))
    assert "total-cut" in {finding.mechanism for finding in findings}
    assert verdict(findings) == "broken"


def test_streams_that_break_off_at_no_common_age_are_broken() -> None:
    """There is no product to suspect, so the first of them is shown as it was."""
    stops = {"plain": 0.5, "gzip": 1.2}

    def proxy(asking: Asking) -> Observation:
        stop = stops.get(asking.variant.name)
        seen = observe(asking, stop=stop, ending="clean" if stop is None else "cut")
        return seen if stop is None else replace(seen, fault="reset")

    findings = diagnose(battery(proxy))
    assert [(finding.mechanism, finding.severity) for finding in findings] == [("error", "error")]
    assert findings[0].evidence == "plain broke off after 3 of 14 events: reset"
    assert (findings[0].suspect, findings[0].cure) == ("", "")
    assert verdict(findings) == "broken"


def test_missing_end_without_a_cut_is_broken() -> None:
    """A stream that lacks its last events and looks whole is no stream to rely on."""
    findings = diagnose(battery(lambda asking: observe(asking, stop=1.0)))
    assert ("truncated-clean", "error") in {(finding.mechanism, finding.severity) for finding in findings}


def test_failure_that_looks_like_an_end_is_a_warning() -> None:
    """The origin failed on purpose, and the reader was not told."""

    def proxy(asking: Asking) -> Observation:
        seen = observe(asking)
        return replace(seen, ending="clean", echo={"http_version": "1.0"}) if asking.variant.cut else seen

    findings = diagnose(battery(proxy))
    assert [(finding.mechanism, finding.severity) for finding in findings] == [
        ("streamed", "ok"),
        ("truncated-clean", "warning"),
    ]
    assert "HTTP/1.0" in findings[1].evidence


def test_failure_that_nobody_is_told_of_is_a_warning() -> None:
    """Some hops keep the connection open after the origin has failed."""

    def proxy(asking: Asking) -> Observation:
        seen = observe(asking)
        return replace(seen, ending="timeout") if asking.variant.cut else seen

    assert "left waiting" in diagnose(battery(proxy))[1].evidence


def test_probe_that_refuses_is_no_stream() -> None:
    """The first variant decides when nothing can be judged."""
    findings = diagnose([replace(observe(asking), status=403) for asking in VARIANTS])
    assert [finding.mechanism for finding in findings] == ["not-a-stream"]
    assert verdict(findings) == "broken"


def test_battery_without_time_is_unknown() -> None:
    """Where the time was up before there was enough to see, nothing is claimed."""
    findings = diagnose(battery(lambda asking: observe(asking, stop=0.4, ending="timeout")))
    assert [(finding.mechanism, finding.severity) for finding in findings] == [("error", "warning")]
    assert verdict(findings) == "unknown"


def test_irregular_arrivals_are_not_judged() -> None:
    """On a machine that is too busy to measure anything, nothing is claimed."""
    findings = diagnose(battery(lambda asking: observe(asking, jitter(1, 0.4))))
    assert verdict(findings) == "unknown"
    assert "too irregularly" in findings[0].evidence


def on_the_beat(sent: Pairs, end: float) -> Pairs:
    """Give what is kept every 250 ms, by the clock."""
    due = sorted({min(end, ceil(at / 0.25) * 0.25) for at, _ in sent})
    return [(at, sum(size for when, size in sent if at - 0.25 < when <= at)) for at in due]


@pytest.mark.parametrize(("path", "mechanism"), [(on_the_beat, "time-quantum"), (pieces(500), "byte-quantum")])
def test_buffer_is_named_by_its_own_beat_where_bulk_was_refused(path: Path, mechanism: str) -> None:
    """Without a second rate it is the more regular of the two, size or time, that tells."""
    seen = [replace(one, status=503) if one.variant.name == "bulk" else one for one in battery(buffer(path))]
    errors = {finding.mechanism for finding in diagnose(seen) if finding.severity == "error"}
    assert errors == {mechanism}


def test_some_refused_variants_spoil_nothing() -> None:
    """A server that takes few at once refuses some; what was answered is judged."""
    refused = {"gzip", "bulk", "large"}
    seen = [
        replace(one, status=503, frames=()) if one.variant.name in refused else one for one in battery(buffer(through))
    ]
    assert verdict(diagnose(seen)) == "streams"
