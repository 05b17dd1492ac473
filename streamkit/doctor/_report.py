"""A diagnosis as words and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamkit.doctor._observation import Finding, Observation
from streamkit.doctor._seen import Seen
from streamkit.doctor._shape import Shape, shape

if TYPE_CHECKING:
    from streamkit.doctor._examine import Diagnosis

EXIT_CODES = {"streams": 0, "buffers": 1, "broken": 2, "unknown": 2}

MEANINGS = {
    "streamed": "events arrive as they are sent",
    "whole-body": "events arrive all at once, at the end",
    "byte-quantum": "events wait until a buffer is full",
    "time-quantum": "events wait for a timer",
    "tail-lag": "each event waits for the next one",
    "compressed": "compressed, and flushed event by event",
    "replayed": "a cache answers with a recording",
    "headers-late": "the head waits for the first event",
    "idle-cut": "a silent stream is cut",
    "total-cut": "a stream is cut at a certain age",
    "truncated-clean": "a stream that broke off looks intact",
    "not-a-stream": "this is no stream",
    "error": "there is nothing to judge",
}

# The headers that say something about the path; others are nobody's business in a report that is passed on.
_SHOWN = ("content-type", "content-encoding", "content-length", "cache-control", "age", "server", "via", "location")


def meaning(finding: Finding) -> str:
    """Return what the mechanism means, in a few words."""
    if finding.mechanism == "compressed" and finding.severity == "error":
        return "a compressor holds events back"
    return MEANINGS[finding.mechanism]


def printable(text: str) -> str:
    """Return text of a server without what a terminal would obey."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def headline(diagnosis: Diagnosis) -> str:
    """Return the verdict in one line."""
    worst = diagnosis.findings[0]
    cure = f" ({worst.cure})" if worst.mechanism == "not-a-stream" and worst.cure else ""
    return printable(f"{diagnosis.verdict}: {worst.mechanism}: {worst.evidence}{cure}")


def fatal(diagnosis: Diagnosis) -> bool:
    """Whether there was no stream at all, so that one line says everything."""
    return all(finding.mechanism in ("error", "not-a-stream") for finding in diagnosis.findings)


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the diagnosis as values of JSON."""
    return {
        "url": diagnosis.url,
        "verdict": diagnosis.verdict,
        "findings": [_finding(finding) for finding in diagnosis.findings],
        "probes": [_probe(seen) for seen in diagnosis.observations],
    }


def _finding(finding: Finding) -> dict[str, str]:
    fields = ("mechanism", "severity", "evidence", "suspect", "cure")
    return {name: getattr(finding, name) for name in fields}


def _probe(seen: Observation) -> dict[str, Any]:
    form = shape(seen)
    return {
        "name": seen.variant.name,
        "asks": seen.variant.says,
        "status": seen.status,
        "http_version": seen.http_version,
        "headers": {name: seen.headers[name] for name in _SHOWN if name in seen.headers},
        "head_ms": _ms(seen.head_at),
        "ended_ms": _ms(seen.ended_at),
        "ending": seen.ending,
        "fault": seen.fault,
        "shape": form.kind,
        "events": len(seen.frames),
        "expected": seen.variant.frames or None,
        "delay_ms": _ms(form.delay),
        "worst_delay_ms": _ms(form.worst),
        "arrivals": [{"at_ms": _ms(one.at), "bytes": one.size, "events": one.frames} for one in seen.arrivals],
        "sent_ms": [_ms(at) for at in sent_at(seen)],
        "origin_saw": seen.echo,
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def sent_at(seen: Observation) -> list[float]:
    """Return when each frame was sent, in seconds of the reader's clock: as if the quickest had taken no time.

    Nothing, where one of them does not say.
    """
    stamped = [(frame.at, frame.sent) for frame in seen.frames if frame.sent is not None]
    if not stamped or len(stamped) < len(seen.frames):
        return []
    quickest = min(at - sent for at, sent in stamped)
    return [sent + quickest for _, sent in stamped]


def result(seen: Observation) -> str:
    """Return in a few words what became of one request."""
    if seen.status != 200:
        return f"status {seen.status}" if seen.status else seen.fault or "no answer"
    if seen.variant.cut:
        return {"clean": "a normal end", "timeout": "left waiting"}.get(seen.ending, "seen as cut")
    missing = 0 < len(seen.frames) < seen.variant.frames
    if seen.ending == "cut" or (missing and seen.ending == "clean"):
        return f"cut after {len(seen.frames)} of {seen.variant.frames or 'its'} events"
    return _held(shape(seen)) if seen.frames else seen.fault or "no event"


def _held(form: Shape) -> str:
    if form.kind == "whole":
        return f"all at once, {_span(form.worst)} late"
    if form.kind == "lag":
        return f"one event late, {_span(form.delay)}"
    if form.kind == "batched":
        return f"{form.together:.0f} at a time, every {_span(form.interval)}"
    if form.kind in ("few", "unclear"):
        return f"{form.frames} events" if form.kind == "few" else "irregular"
    return f"in pieces of {form.size} bytes" if form.together >= 2 and form.regular_sizes < 0.2 else "as sent"


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def between(outside: Diagnosis, inside: Diagnosis) -> str:
    """Return which hop the comparison of two addresses of one app points at."""
    if inside.verdict == "unknown" or outside.verdict == "unknown":
        return "one of the two could not be judged, so the comparison says nothing"
    if outside.verdict == "streams" and inside.verdict == "streams":
        return f"both stream: nothing between {inside.url} and {outside.url} holds events"
    if inside.verdict == "streams":
        return f"{inside.url} streams and {outside.url} does not: it happens between the two"
    same = _mechanisms(inside.findings) & _mechanisms(outside.findings)
    if outside.verdict == "streams":
        return f"{outside.url} streams and {inside.url} does not: the outer one takes another way"
    if same:
        return f"both show {', '.join(sorted(same))}: it happens at {inside.url} or behind it"
    return "the two show different mechanisms: cure the inner one first, then compare again"


def _mechanisms(findings: Sequence[Finding]) -> set[str]:
    return {finding.mechanism for finding in findings if finding.severity == "error"}


AS_ABOVE = "as above"

# Shown in the picture, in this order; of the others only names.
_MAIN = ("stream", "without gzip", "plain", "gzip", "accel", "both", "bulk", "large", "http2", "idle", "active", "long")


def shown(observations: Sequence[Observation]) -> tuple[list[Observation], list[str], list[str]]:
    """Return the requests that a picture shows, and of the others the names of those that streamed or were held.

    Those that are asked twice or fail on purpose are too short to look at.
    """
    by_name = {seen.variant.name: seen for seen in observations}
    rows = [by_name.pop(name) for name in _MAIN if name in by_name]
    long_enough = [seen for seen in by_name.values() if seen.variant.frames > 10]
    streamed = [seen.variant.name for seen in long_enough if result(seen) == "as sent"]
    held = [seen.variant.name for seen in long_enough if seen.frames and seen.variant.name not in streamed]
    return rows, streamed, held


def rest(streamed: Sequence[str], others: Sequence[str]) -> str:
    """Return the line about the requests that a picture leaves out."""
    parts = (("as sent too: ", streamed), ("not so: ", others))
    return "; ".join(f"{text}{', '.join(names)}" for text, names in parts if names)


def once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings, without a cure that was given before."""
    given = {""}
    for finding in findings:
        known = finding.cure in given and finding.cure != ""
        given.add(finding.cure)
        yield replace(finding, suspect="", cure=AS_ABOVE) if known else finding


def with_headers(diagnosis: Diagnosis) -> str:
    """Return what is to be said to users of streamkit, whose responses carry what cures; "" where it does not."""
    if diagnosis.verdict != "buffers":
        return ""
    seen = Seen(diagnosis.observations)
    if all(seen.streams(name) for name in ("both", "bulk-both", "large-both")):
        return "With the headers that streamkit sends, events stream through here."
    return ""
