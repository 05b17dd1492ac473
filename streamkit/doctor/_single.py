"""The judgement of a stream without a probe, by its arrivals alone. Pure.

Nobody says here when an event was sent, so less can be known, and the evidence says so: a buffer that is cut in the
middle of events is sure; a body that comes at once after a wait is a buffer or an app that computes first; a steady
beat of several events is a timer or an app with that beat. Where a second answer without gzip streams, it is gzip.
"""

from __future__ import annotations

from streamkit.doctor._cures import Advice
from streamkit.doctor._failures import EVENTS, content_type, failure, unjudged
from streamkit.doctor._observation import Finding, Observation
from streamkit.doctor._shape import Batches, batches, spread

ENOUGH = 3  # events
AT_ONCE = 0.25  # seconds within which a whole stream came
LONG_WAIT = 1.0  # seconds to the first event, after which "all at once" is no accident
BEAT = 0.5  # seconds; a slower beat is more likely the app's own

_PROBE = "mount the probe to be sure"
_IF = f"if the app sends them one by one, they were held: {_PROBE}"


def judge(seen: Observation, without_gzip: Observation | None = None) -> list[Finding]:
    """Return what one stream shows.

    Args:
        seen: Asked as a browser does, with gzip.
        without_gzip: Asked once more without, where the first was compressed and held, or brought nothing.
    """
    if without_gzip is not None and _nothing(seen) and len(without_gzip.frames) >= ENOUGH:
        if _held(without_gzip, Advice()):
            return judge(without_gzip)
        evidence = f"asked with gzip, no event came in {seen.ended_at:.0f} s; without, they stream"
        return [Advice.of([seen, without_gzip]).finding("compressed", "error", evidence)]
    fatal = failure(seen)
    if fatal is not None:
        return [fatal]
    advice = Advice.of([seen])
    if len(seen.frames) < ENOUGH:
        return [_few(seen)]
    found = [*_ended(seen, advice), *_replayed(seen, advice)]
    held = _held(seen, advice)
    if held and without_gzip is not None and len(without_gzip.frames) >= ENOUGH and not _held(without_gzip, advice):
        evidence = f"{held[0].evidence}; asked without gzip, they stream"
        held = [advice.finding("compressed", "error", evidence)]
    found += held
    if not held and not any(finding.severity == "error" for finding in found):
        found.insert(0, _streamed(seen))
    if not held and seen.encoding:
        found.append(Finding("compressed", "info", f"Content-Encoding: {seen.encoding}, and events are flushed"))
    return found


def doubtful(seen: Observation) -> bool:
    """Whether a second request, without gzip, could say more."""
    if _nothing(seen):
        return True
    return bool(seen.encoding) and len(seen.frames) >= ENOUGH and bool(_held(seen, Advice()))


def _nothing(seen: Observation) -> bool:
    """Whether the time was up before an event came."""
    return seen.ending == "timeout" and not seen.frames


def _few(seen: Observation) -> Finding:
    count = len(seen.frames)
    if seen.fault:
        return unjudged(seen, seen.fault)
    if seen.ending == "clean":
        return unjudged(seen, f"the stream ended after {count} events: too few to judge; {_PROBE}")
    if seen.ending == "cut":
        return unjudged(seen, f"the stream was cut after {count} events and {seen.ended_at:.1f} s")
    return unjudged(seen, f"{count} events came in {seen.ended_at:.0f} s: too few to judge; {_PROBE}")


def _held(seen: Observation, advice: Advice) -> list[Finding]:
    grouped = batches(seen)
    if grouped.starts[-1] - grouped.starts[0] <= AT_ONCE:
        return _at_once(seen, advice)
    return _in_pieces(seen, grouped, advice)


def _at_once(seen: Observation, advice: Advice) -> list[Finding]:
    first, count = seen.frames[0].at, len(seen.frames)
    if seen.ending != "clean":
        return _lump(seen, advice) if first >= LONG_WAIT and seen.ending in ("left", "timeout") else []
    if first < LONG_WAIT:
        why = f"the whole stream, {count} events, came {first * 1000:.0f} ms after the request: too short to judge"
        return [] if "age" in seen.headers else [Finding("error", "warning", f"{why}; {_PROBE}")]
    evidence = f"{count} events came all at once, {first:.1f} s after the request"
    evidence += ", and the head with them" if first - seen.head_at < AT_ONCE else ""
    return [advice.finding("whole-body", "error", f"{evidence}; {_IF}")]


def _lump(seen: Observation, advice: Advice) -> list[Finding]:
    """Judge a stream that goes on, of which one lump came: there is a buffer that had to be full."""
    size = sum(arrival.size for arrival in seen.arrivals)
    evidence = f"{len(seen.frames)} events, {size} bytes, came at once after {seen.frames[0].at:.1f} s"
    return [advice.finding("byte-quantum", "error", f"{evidence}, and the stream goes on; {_IF}")]


def _in_pieces(seen: Observation, grouped: Batches, advice: Advice) -> list[Finding]:
    together = len(seen.frames) / len(grouped.frames)
    if together < 1.5:
        return []
    inside = sum(arrival.inside for arrival in seen.arrivals) / len(seen.arrivals)
    if inside >= 0.5 and (len(grouped.sizes) <= 3 or spread(grouped.sizes[:-1]) < 0.25):
        size = sorted(grouped.sizes)[len(grouped.sizes) // 2]
        evidence = f"events come in pieces of {size} bytes that end inside an event"
        return [advice.finding("byte-quantum", "error", evidence)]
    intervals = grouped.intervals[:-1] or [0.0]
    beat = sum(intervals) / len(intervals)
    if len(grouped.frames) >= 5 and spread(intervals) < 0.15 and 0.15 <= beat <= BEAT:
        evidence = f"events come every {beat * 1000:.0f} ms, {together:.1f} at a time; {_IF}"
        return [advice.finding("time-quantum", "error", evidence)]
    return []


def _streamed(seen: Observation) -> Finding:
    grouped = batches(seen)
    together = len(seen.frames) / len(grouped.frames)
    evidence = f"{len(seen.frames)} events came in {len(grouped.frames)} arrivals over {seen.ended_at:.1f} s"
    if seen.ending == "clean" and grouped.starts[-1] - grouped.starts[0] <= AT_ONCE:
        evidence += ", from a cache"
    if together >= 2:
        evidence += f", {together:.1f} at a time; {_IF}"
    return Finding("streamed", "ok", evidence)


def _replayed(seen: Observation, advice: Advice) -> list[Finding]:
    age = seen.headers.get("age", "0").strip()
    if not age.isdigit() or int(age) == 0:
        return []
    return [advice.finding("replayed", "error", f"the answer is a recording, {age} s old by its Age header")]


def _ended(seen: Observation, advice: Advice) -> list[Finding]:
    """Judge an end that came before its time."""
    # A last JSON line may lack its line feed; an event without its end is dropped (WHATWG HTML, 9.2.6).
    if seen.ending == "clean" and seen.arrivals[-1].inside and content_type(seen) == EVENTS:
        return [advice.finding("truncated-clean", "error", "the body ended, as if it were whole, inside an event")]
    if seen.ending != "cut":
        return []
    silence = seen.ended_at - seen.arrivals[-1].at
    gaps = [later.at - earlier.at for earlier, later in zip(seen.arrivals, seen.arrivals[1:], strict=False)]
    if silence >= 2 and silence > 2 * max(gaps, default=0.0):
        return [advice.finding("idle-cut", "error", f"the stream was cut after {silence:.1f} s of silence")]
    return [Finding("error", "error", f"the stream broke off after {seen.ended_at:.1f} s, while events came")]
