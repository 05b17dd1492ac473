"""The rules for streams that end before their end: cut when silent, cut by their age, or ended as if whole. Pure.

The `cut` variant fails on purpose: it shows whether a reader can tell a crash from an end. All others are to be whole.
"""

from __future__ import annotations

from streamkit.doctor._cures import Advice
from streamkit.doctor._observation import Finding, Observation
from streamkit.doctor._seen import Seen

# What a proxy answers when the head itself has waited too long.
_GATEWAY = {408, 502, 503, 504, 524}


def cuts(seen: Seen, advice: Advice) -> list[Finding]:
    """Return how streams were cut."""
    found = _by_silence_or_age(seen, advice)
    if not found:
        found = _unprovoked(seen, advice)
    return found + _cut_looks_whole(seen, advice)


def _short(seen: Observation) -> bool:
    """Tell whether a stream lacks frames at its end, although it could be read."""
    if seen.status != 200 or seen.variant.cut:
        return False
    return len(seen.frames) < seen.variant.frames and not (seen.fault and seen.ending in ("left", "clean"))


def _by_silence_or_age(seen: Seen, advice: Advice) -> list[Finding]:
    idle, active = seen.observations.get("idle"), seen.observations.get("active")
    if idle is None or not (_short(idle) or idle.status in _GATEWAY):
        return []
    if active is not None and (_short(active) or active.status in _GATEWAY):
        evidence = f"a stream that is never silent was {_ended(active)} after {active.ended_at:.1f} s"
        return [advice.finding("total-cut", "error", evidence)]
    silent_since = idle.frames[-1].at if idle.frames else idle.head_at
    evidence = f"a silent stream was {_ended(idle)} after {idle.ended_at - silent_since:.1f} s of silence"
    found = [advice.finding("idle-cut", "error", f"{evidence}; one that is never silent lived on")]
    if idle.ending == "clean" and idle.status == 200:
        found.append(advice.finding("truncated-clean", "warning", "the cut looks like the normal end of the stream"))
    return found


def _ended(seen: Observation) -> str:
    if seen.status in _GATEWAY:
        return f"answered with {seen.status}"
    return {"clean": "ended as if it were whole", "timeout": "left hanging"}.get(seen.ending, "cut")


def _unprovoked(seen: Seen, advice: Advice) -> list[Finding]:
    whole = [one for one in seen.observations.values() if one.variant.frames]
    cut = [one for one in whole if _short(one) and one.ending == "cut"]
    clean = [one for one in whole if _short(one) and one.ending == "clean"]
    found: list[Finding] = []
    if clean:
        one = clean[0]
        evidence = f"{one.variant.name}: {len(one.frames)} of {one.variant.frames} events, then a normal end"
        found.append(advice.finding("truncated-clean", "error", evidence))
    if not cut:
        return found
    ends = [one.ended_at for one in cut]
    if len(cut) >= 3 and max(ends) - min(ends) <= 0.3 + 0.2 * max(ends):
        evidence = f"{len(cut)} streams were cut, each {max(ends):.1f} s after it was asked for"
        return [*found, advice.finding("total-cut", "error", evidence)]
    if len(cut) >= 2 or seen.observations.get("plain") in cut:
        one = cut[0]
        evidence = f"{one.variant.name} broke off after {len(one.frames)} of {one.variant.frames} events: {one.fault}"
        found.append(advice.finding("error", "error", evidence))
    return found


def _cut_looks_whole(seen: Seen, advice: Advice) -> list[Finding]:
    cut = seen.observation("cut")
    if cut is None or cut.ending not in ("clean", "timeout") or len(cut.frames) >= cut.variant.frames:
        return []
    saw = "saw a normal end" if cut.ending == "clean" else "was left waiting"
    evidence = f"the origin failed half-way, on purpose, and the reader {saw}"
    if cut.echo.get("http_version") == "1.0":
        evidence += "; the request reached it as HTTP/1.0, which cannot show a cut"
    return [advice.finding("truncated-clean", "warning", evidence)]
