"""The rules for events that are held back: by a buffer, a timer, a compressor, or one at a time. Pure.

    plain   accel   gzip    no-transform
    held    good                          a buffer that obeys X-Accel-Buffering
    held    held                          one that obeys nothing; identity good: a compressor that hides
    good            held    good          a compressor that obeys no-transform
    good            held    held          one that does not

Whether a buffer counts bytes or seconds is seen only by asking at two rates: bulk has a hundred times the bytes of
plain, so what is counted in bytes comes a hundred times as often there, and what is timed, as often.
"""

from __future__ import annotations

from streamkit.doctor._cures import Advice
from streamkit.doctor._observation import Finding
from streamkit.doctor._seen import Seen
from streamkit.doctor._shape import Shape

_OTHERS = ("http2", "ndjson", "large", "bulk")


def holding(seen: Seen, advice: Advice) -> list[Finding]:
    """Return the mechanisms that hold events back."""
    found: list[Finding] = []
    if seen.held("plain"):
        found += _plain_held(seen, advice)
    found += _compressor(seen, advice) or _threshold(seen, advice) or _start_held(seen, advice)
    if seen.streams("plain"):
        found += _others_held(seen, advice, {finding.mechanism for finding in found})
    return found


def _plain_held(seen: Seen, advice: Advice) -> list[Finding]:
    cure = seen.first_that_streams("accel", "identity", "both", "http2")
    names = _name(seen, "plain", "bulk")
    found = [advice.finding(name, "error", f"{text}{_cured(cure)}", cure) for name, text in names]
    if cure == "identity":
        evidence = "events marked Content-Encoding: identity stream: a compressor holds the others, and hides behind it"
        found.append(advice.finding("compressed", "error", evidence, "identity"))
    if not cure and _less_held(seen, "accel", than="plain"):
        # One layer peeled: the header took away the buffer that held it all, and shows the next behind or before it.
        found = [advice.finding(name, "error", f"{text}, but not with {_HEADER}", "accel") for name, text in names]
        for name, text in _name(seen, "accel", "bulk-both"):
            found.append(advice.finding(name, "error", f"{text}, with {_HEADER}: a second hop", ""))
    return found


def _less_held(seen: Seen, name: str, *, than: str) -> bool:
    """Whether one variant is held to the end, and another held in another way, for a time that is clearly shorter."""
    more, less = seen.shapes[than], seen.shapes[name]
    return more.kind == "whole" != less.kind and less.held and less.worst < 0.6 * more.worst


_HEADER = "X-Accel-Buffering: no"
_CURES = {
    "accel": f"; with {_HEADER} they stream",
    "identity": "; marked Content-Encoding: identity they stream",
    "both": f"; with {_HEADER} and no-transform they stream",
    "no-transform": "; with Cache-Control: no-transform they stream",
    "accel-gzip": f"; with {_HEADER} they stream",
    "http2": "; over HTTP/2 they stream",
    "bulk-both": f"; with {_HEADER} and no-transform they stream",
    "large-both": f"; with {_HEADER} they stream",
    "ndjson-both": f"; with {_HEADER} and no-transform they stream",
}


def _cured(cure: str) -> str:
    return _CURES.get(cure, "; no header changes it")


def _name(seen: Seen, slow_name: str, fast_name: str) -> list[tuple[str, str]]:
    """Return the mechanisms that the shapes at two rates show, each with its evidence."""
    slow, fast = seen.shapes[slow_name], seen.shape(fast_name)
    if slow.kind == "lag":
        return [("tail-lag", _lag(slow))]
    if slow.kind == "batched":
        return [_timed_or_counted(slow, fast)]
    whole = "whole-body", f"{slow.frames} small events came all at once, the first {_ms(slow.worst)} late"
    for name in ("huge", fast_name):
        faster = seen.shape(name)
        if faster is None or faster.kind not in ("batched", "streamed"):
            continue
        # What holds in bulk as long counts seconds; what lets more bytes go sooner counts bytes.
        if faster.worst >= 0.6 * slow.worst:
            return [("time-quantum", f"events wait for others, and in bulk as long, up to {_ms(faster.worst)}")]
        return [whole, ("byte-quantum", _filled(faster))]
    long = seen.shape("long")
    if long is not None and long.kind == "batched":
        return [("time-quantum", _waits(long.worst, long))]
    return [whole]


def _filled(faster: Shape) -> str:
    if faster.start:
        return f"in bulk the first {_bytes(faster.start)} come together, the rest as it is sent"
    if faster.together < 1.4:
        return "in bulk they stream, so it is bytes that are waited for"
    return f"in bulk they come in pieces of {_bytes(faster.size)}"


def _timed_or_counted(slow: Shape, fast: Shape | None) -> tuple[str, str]:
    counted = ("byte-quantum", f"events come in pieces of {_bytes(slow.size)}, {slow.together:.1f} at a time")
    if fast is None:
        by_time = slow.regular_intervals < slow.regular_sizes
        return ("time-quantum", _waits(slow.worst, slow)) if by_time else counted
    # A timer holds either for as long, whatever came meanwhile.
    as_long = 0.4 <= fast.worst / slow.worst <= 2.5
    if fast.held and as_long and fast.size > 3 * slow.size:
        return "time-quantum", f"{_waits(min(slow.worst, fast.worst), slow)}, and in bulk as long"
    return counted


def _waits(seconds: float, shape: Shape) -> str:
    return f"events wait up to {_ms(seconds)} for others, {shape.together:.1f} small ones at a time"


def _compressor(seen: Seen, advice: Advice) -> list[Finding]:
    """Find a compressor that holds events which stream without it, at the outermost layer that streams at all."""
    cures: tuple[str, ...]
    if seen.streams("plain"):
        packed, cures = "gzip", ("no-transform", "accel-gzip", "both", "identity")
    elif seen.streams("accel"):
        packed, cures = "accel-gzip", ("both", "identity")
    else:
        return []
    if not seen.held(packed):
        return []
    cure = seen.first_that_streams(*cures)
    evidence = f"asked with Accept-Encoding: gzip, {_how(seen.shapes[packed])}; without, they stream{_cured(cure)}"
    return [advice.finding("compressed", "error", evidence, cure)]


def _threshold(seen: Seen, advice: Advice) -> list[Finding]:
    """Find a compressor that starts at a size, and so lets small events through."""
    if not (seen.streams("gzip") and seen.streams("bulk") and seen.held("bulk-gzip")):
        return []
    cure = seen.first_that_streams("bulk-both")
    evidence = f"small events stream; those of 1 KB, asked with gzip, do not: {_how(seen.shapes['bulk-gzip'])}"
    return [advice.finding("compressed", "error", f"{evidence}{_cured(cure)}", cure)]


def _start_held(seen: Seen, advice: Advice) -> list[Finding]:
    """Find what holds the first bytes alone, until there are enough of them, and then lets everything go."""
    bulk = seen.shape("bulk")
    for base, alike, cures in _STARTS:
        shape = seen.shape(base)
        if shape is None or not shape.start or bulk is None or bulk.worst >= 0.6 * shape.worst:
            continue
        # A busy machine may be late to begin, but not by as many bytes in each of several streams.
        sizes = [seen.shapes[name].start for name in alike if seen.streams(name)]
        if sum(abs(size - shape.start) <= 0.2 * shape.start for size in sizes) < 2:
            continue
        cure = next((name for name in cures if seen.streams(name) and not seen.shapes[name].start), "")
        evidence = f"the first {_bytes(shape.start)} come together, {_ms(shape.worst)} late, the rest as it is sent"
        if base == "plain":
            return [advice.finding("byte-quantum", "error", f"{evidence}{_cured(cure)}", cure)]
        evidence = f"asked with Accept-Encoding: gzip, {evidence}; without, they stream{_cured(cure)}"
        return [advice.finding("compressed", "error", evidence, cure)]
    return []


# The variant, those that meet the same unless a header cures it, and those that may be cured.
_STARTS = (
    ("plain", ("accel", "no-transform", "identity", "both", "gzip"), ("accel", "identity", "both")),
    ("gzip", ("accel-gzip", "no-transform", "both", "ndjson"), ("no-transform", "accel-gzip", "both", "identity")),
)


def _others_held(seen: Seen, advice: Advice, known: set[str]) -> list[Finding]:
    """Name what holds a variant of which the small plain events know nothing."""
    found: list[Finding] = []
    for variant in _OTHERS:
        if not seen.held(variant) or (variant == "ndjson" and "compressed" in known):
            continue
        shape = seen.shapes[variant]
        cure = seen.first_that_streams(f"{variant}-both")
        mechanism = {"lag": "tail-lag", "whole": "whole-body"}.get(shape.kind) or _regular(shape)
        if seen.observations[variant].encoding:
            mechanism = "compressed"  # events of the other type stream through here, so it is not a plain buffer
        if mechanism not in known:
            known.add(mechanism)
            evidence = f"{seen.observations[variant].variant.says}: {_how(shape)}{_cured(cure)}"
            found.append(advice.finding(mechanism, "error", evidence, cure))
    return found


def _regular(shape: Shape) -> str:
    return "byte-quantum" if shape.regular_sizes <= shape.regular_intervals else "time-quantum"


def _how(shape: Shape) -> str:
    if shape.kind == "lag":
        return _lag(shape)
    if shape.kind == "whole":
        return f"{shape.frames} events come all at once, the first {_ms(shape.worst)} late"
    return f"events come {shape.together:.1f} at a time, {_bytes(shape.size)} every {_ms(shape.interval)}"


def _lag(shape: Shape) -> str:
    return f"each event comes only with the next one, {_ms(shape.delay)} late"


def _ms(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _bytes(size: int) -> str:
    return f"{size / 1024:.0f} KB" if size >= 10_000 else f"{size} bytes"
