"""A stream without a probe: what its arrivals show, and what is said where they show nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamkit.doctor._diagnosis import verdict
from streamkit.doctor._failures import failure
from streamkit.doctor._observation import Arrival, Ending, Frame, Observation, Variant
from streamkit.doctor._single import doubtful, judge

STREAM = Variant("stream")
HEADERS = {"content-type": "text/event-stream; charset=utf-8"}


def seen(
    arrivals: list[tuple[float, int, int]],
    *,
    inside: bool = False,
    ending: Ending = "clean",
    ended_at: float | None = None,
    head_at: float = 0.05,
    **headers: str,
) -> Observation:
    """Return an observation of pairs of time, bytes and events."""
    frames = tuple(Frame(at) for at, _, count in arrivals for _ in range(count))
    fields = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    came = tuple(Arrival(at, size, count, inside) for at, size, count in arrivals)
    end = ended_at if ended_at is not None else (arrivals[-1][0] + 0.01 if arrivals else 3.0)
    return Observation(STREAM, 200, "HTTP/1.1", fields, head_at, came, frames, ending, end)


STEADY = seen([(0.1 * count, 50, 1) for count in range(1, 21)])
AT_ONCE = seen([(2.5, 1000, 20)], head_at=2.5)

CASES: dict[str, tuple[Observation, list[tuple[str, str]], str]] = {
    "steady": (STEADY, [("streamed", "ok")], "streams"),
    "unsteady": (seen([(at, 50, 1) for at in (0.1, 0.9, 1.0, 4.2, 4.3)]), [("streamed", "ok")], "streams"),
    "goes on": (seen([(0.5 * count, 50, 1) for count in range(1, 9)], ending="left"), [("streamed", "ok")], "streams"),
    "all at once, late": (AT_ONCE, [("whole-body", "error")], "buffers"),
    "all at once, quick": (seen([(0.1, 1000, 20)]), [("error", "warning")], "unknown"),
    "one event": (seen([(0.1, 50, 1)]), [("error", "warning")], "unknown"),
    "none": (seen([]), [("error", "warning")], "unknown"),
    "pieces": (
        seen([(0.4 * count, 4096, 40) for count in range(1, 6)], inside=True, ending="left"),
        [("byte-quantum", "error")],
        "buffers",
    ),
    "a lump of one that goes on": (
        seen([(3.2, 4096, 200)], inside=True, ending="timeout"),
        [("byte-quantum", "error")],
        "buffers",
    ),
    "beat of 200 ms": (
        seen([(0.2 * count, 150, 3) for count in range(1, 12)]),
        [("time-quantum", "error")],
        "buffers",
    ),
    "beat of 1 s": (seen([(1.0 * count, 150, 3) for count in range(1, 9)]), [("streamed", "ok")], "streams"),
    "recording": (seen([(0.1, 1000, 20)], age="17"), [("replayed", "error")], "broken"),
    "from a cache, as new": (seen([(0.1, 1000, 20)], age="0"), [("streamed", "ok")], "streams"),
    "cut at once": (seen([(0.1, 50, 1)], ending="cut"), [("error", "warning")], "unknown"),
    "cut in silence": (
        seen([(0.1, 50, 1), (0.2, 50, 1), (0.3, 50, 1)], ending="cut", ended_at=30.3),
        [("idle-cut", "error")],
        "broken",
    ),
    "cut while it streams": (
        seen([(0.1 * count, 50, 1) for count in range(1, 9)], ending="cut"),
        [("error", "error")],
        "broken",
    ),
    "ended inside an event": (
        seen([(0.1 * count, 50, 1) for count in range(1, 9)], inside=True),
        [("truncated-clean", "error")],
        "broken",
    ),
    "last line of JSON without a line feed": (
        seen([(0.1 * count, 50, 1) for count in range(1, 9)], inside=True, content_type="application/x-ndjson"),
        [("streamed", "ok")],
        "streams",
    ),
    "compressed": (
        seen([(0.1 * count, 50, 1) for count in range(1, 21)], content_encoding="gzip"),
        [("streamed", "ok"), ("compressed", "info")],
        "streams",
    ),
}


@pytest.mark.parametrize(("stream", "findings", "expected"), CASES.values(), ids=CASES)
def test_arrivals_are_judged(stream: Observation, findings: list[tuple[str, str]], expected: str) -> None:
    """Each way to arrive has its mechanism and its verdict."""
    found = judge(stream)
    assert [(finding.mechanism, finding.severity) for finding in found] == findings
    assert verdict(found) == expected


def test_second_answer_without_gzip_shows_the_compressor() -> None:
    """What is held with gzip and streams without is held by gzip."""
    packed = replace(AT_ONCE, headers={**HEADERS, "content-encoding": "gzip"})
    assert doubtful(packed)
    assert not doubtful(AT_ONCE)
    assert [finding.mechanism for finding in judge(packed, STEADY)] == ["compressed"]
    assert [finding.mechanism for finding in judge(packed, AT_ONCE)] == ["whole-body"]


def test_compressor_that_lets_nothing_through_is_shown_by_the_second_answer() -> None:
    """With gzip nothing came while there was time; without, the stream streams, or is held as well."""
    silent = seen([], ending="timeout")
    assert doubtful(silent)
    assert [finding.mechanism for finding in judge(silent, STEADY)] == ["compressed"]
    assert [finding.mechanism for finding in judge(silent, AT_ONCE)] == ["whole-body"]
    assert [finding.severity for finding in judge(silent, silent)] == ["warning"]


@pytest.mark.parametrize("product", ["nginx", "envoy", ""])
@pytest.mark.parametrize("name", CASES)
def test_server_header_changes_no_finding(name: str, product: str) -> None:
    """The fingerprint chooses words alone."""
    stream, findings, _ = CASES[name]
    named = replace(stream, headers={**stream.headers, "server": product})
    assert [(finding.mechanism, finding.severity) for finding in judge(named)] == findings


@pytest.mark.parametrize("status", [204, 301, 302, 400, 401, 403, 404, 405, 407, 426, 429, 500, 502, 503, 504])
def test_other_status_is_no_stream_and_is_shown(status: int) -> None:
    """The line shows the number."""
    found = failure(replace(STEADY, status=status))
    assert found is not None
    assert found.mechanism == "not-a-stream"
    assert str(status) in found.evidence
    assert found.cure


@pytest.mark.parametrize(
    "kind",
    ["text/event-stream", "TEXT/Event-Stream; charset=utf-8", "application/x-ndjson", "application/json-seq"],
)
def test_types_of_streams_are_taken(kind: str) -> None:
    """In any case, with parameters or without."""
    assert failure(replace(STEADY, headers={"content-type": kind})) is None


def test_refusal_of_the_probe_is_quoted() -> None:
    """A short plain answer says more than its number."""
    refused = replace(STEADY, status=403, headers={"content-type": "text/plain"}, body=b"the probe wants its token\n")
    found = failure(refused)
    assert found is not None
    assert found.evidence.endswith(": the probe wants its token")
