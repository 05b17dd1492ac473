"""From what the battery saw to findings, and from findings to the verdict. Pure: no clock, no socket.

Rules: what cures a variant says what holds it; headers that name a product decide nothing, they only choose the words
of the cure (`_cures`). One layer is peeled at a time: where X-Accel-Buffering lets small events through, the next
question is asked of the answers that carry it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streamkit.doctor._cures import Advice
from streamkit.doctor._cuts import cuts
from streamkit.doctor._failures import failure, unjudged
from streamkit.doctor._holding import holding
from streamkit.doctor._observation import Finding, Observation, Verdict
from streamkit.doctor._seen import Seen

# What is worse than a stream that comes late: none at all, somebody else's, or one that ends before its end.
_BROKEN = {"error", "not-a-stream", "replayed", "idle-cut", "total-cut", "truncated-clean"}
_ORDER = {"error": 0, "ok": 1, "warning": 2, "info": 3}


def diagnose(observations: Sequence[Observation]) -> list[Finding]:
    """Return what the observations of a battery show, the worst first."""
    seen = Seen(observations)
    plain = seen.observation("plain") or observations[0]
    fatal = failure(plain)
    if fatal is not None:
        return [fatal]
    advice = Advice.of(observations)
    findings = [*cuts(seen, advice), *_replayed(seen, advice), *holding(seen, advice), *_headers_late(seen, advice)]
    if not any(finding.severity == "error" for finding in findings):
        findings.append(_streamed(seen) or unjudged(plain))
    if not any(finding.mechanism == "compressed" for finding in findings):
        findings += _compressed_but_flushed(seen)
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])


def verdict(findings: Iterable[Finding]) -> Verdict:
    """Return what the findings come to: the worst that one of them says."""
    errors = {finding.mechanism for finding in findings if finding.severity == "error"}
    if errors & _BROKEN:
        return "broken"
    if errors:
        return "buffers"
    return "streams" if any(finding.mechanism == "streamed" for finding in findings) else "unknown"


def _streamed(seen: Seen) -> Finding | None:
    good = [seen.shapes[name] for name in ("plain", "gzip", "both", "bulk", "large") if seen.streams(name)]
    if not seen.streams("plain"):
        return None
    # The usual delay, not the worst: one hiccup of either machine says nothing about the path.
    late = max(shape.delay for shape in good)
    count = sum(shape.frames for shape in good)
    evidence = f"{count} events came as they were sent, usually within {max(1, late * 1000):.0f} ms"
    return Finding("streamed", "ok", f"{evidence}, over {seen.versions}" if seen.versions else evidence)


def _compressed_but_flushed(seen: Seen) -> list[Finding]:
    for name in ("gzip", "accel-gzip"):
        observation = seen.observation(name)
        if observation is not None and observation.encoding and seen.streams(name):
            evidence = f"Content-Encoding: {observation.encoding}, and every event is flushed: it costs time of the CPU"
            return [Finding("compressed", "info", evidence)]
    return []


def _replayed(seen: Seen, advice: Advice) -> list[Finding]:
    if not seen.same_answer("first", "second"):
        return []
    anyway = seen.same_answer("fresh", "fresh-again")
    evidence = "the second request for one URL was given the recording of the first"
    evidence += ", with Cache-Control: no-cache too" if anyway else "; with Cache-Control: no-cache it was not"
    return [advice.finding("replayed", "error", evidence, "" if anyway else "no-cache")]


def _headers_late(seen: Seen, advice: Advice) -> list[Finding]:
    base = next((name for name in ("plain", "accel", "both") if seen.streams(name)), None)
    late = [name for name in (base, "gzip", "ndjson", "ndjson-both") if name and _waits_for_an_event(seen, name)]
    if not late:
        return []
    asked = seen.observations[late[0]].variant
    evidence = f"the head was sent {asked.first * 1000:.0f} ms before the first event and came together with it"
    if late[0] == base:
        cure = "accel" if base == "plain" and seen.streams_at_once("accel") else ""
        return [advice.finding("headers-late", "warning", evidence, cure)]
    return [advice.finding("headers-late", "warning", f"{asked.says}: {evidence}", "without-gzip")]


def _waits_for_an_event(seen: Seen, name: str) -> bool:
    return seen.streams(name) and seen.head_is_late(name)
