"""The variants of which a battery is made: what each asks of the probe and how. Pure.

They differ from `plain` in one thing each, so that what cures says what holds. `both` carries what a streamkit response
carries. The numbers: small frames are slow enough to tell one from the next on a busy machine; bulk frames fill a
buffer of 64 KB three times over; no variant lasts two seconds but those of the second round and of --idle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from streamkit.doctor._contract import ProbeRequest
from streamkit.doctor._observation import Variant

GZIP = "gzip"
PLAIN = "identity"


@dataclass(frozen=True, slots=True)
class Asking:
    """One request: the variant, what the probe is to do, and how it is asked.

    Args:
        variant: As the rules see it.
        probe: What the probe is to do.
        accept: The Accept-Encoding.
        http2: Whether to offer HTTP/2.
        after: The name of the variant that must be over first.
        same_url: A word that two requests share, so that a cache takes them for one; None for a URL of its own.
    """

    variant: Variant
    probe: ProbeRequest
    accept: str = PLAIN
    http2: bool = False
    after: str = ""
    same_url: str | None = None


def _asking(name: str, says: str, probe: ProbeRequest, accept: str = PLAIN) -> Asking:
    variant = Variant(
        name,
        says,
        frames=probe.n,
        gap=probe.gap / 1000,
        first=probe.first / 1000,
        silence=probe.silence / 1000,
        cut=bool(probe.cut),
    )
    return Asking(variant, probe, accept)


_SMALL = ProbeRequest(n=14, gap=100, size=30, first=250)
_BULK = ProbeRequest(n=190, gap=8, size=1000)
_LARGE = ProbeRequest(n=12, gap=100, size=5000)
_TWICE = ProbeRequest(n=4, gap=50, size=30)
_FRESH = replace(_TWICE, h=("no-cache",))
_BOTH = ("accel", "no-cache", "no-transform")

VARIANTS = (
    _asking("plain", "small events, no compression", _SMALL),
    _asking("gzip", "Accept-Encoding: gzip, as every browser sends", _SMALL, GZIP),
    _asking("both", "the headers that streamkit sends, gzip", replace(_SMALL, h=_BOTH), GZIP),
    _asking("accel", "X-Accel-Buffering: no", replace(_SMALL, h=("accel",))),
    _asking("accel-gzip", "X-Accel-Buffering: no, gzip", replace(_SMALL, h=("accel",)), GZIP),
    _asking("no-transform", "Cache-Control: no-transform, gzip", replace(_SMALL, h=("no-transform",)), GZIP),
    _asking("identity", "Content-Encoding: identity, gzip", replace(_SMALL, h=("identity",)), GZIP),
    _asking("ndjson", "NDJSON, gzip", replace(_SMALL, kind="ndjson"), GZIP),
    _asking("ndjson-both", "NDJSON, both headers, gzip", replace(_SMALL, kind="ndjson", h=_BOTH), GZIP),
    _asking("bulk", "1 KB every 8 ms", _BULK),
    _asking("bulk-gzip", "1 KB every 8 ms, gzip", _BULK, GZIP),
    _asking("bulk-both", "1 KB every 8 ms, both headers, gzip", replace(_BULK, h=_BOTH), GZIP),
    _asking("large", "events of 5 KB", _LARGE),
    _asking("large-both", "events of 5 KB, both headers", replace(_LARGE, h=_BOTH)),
    replace(_asking("first", "one URL, the first time", _TWICE), same_url="same"),
    replace(_asking("second", "the same URL again", _TWICE), same_url="same", after="first"),
    replace(_asking("fresh", "one URL, no-cache", _FRESH), same_url="fresh"),
    replace(_asking("fresh-again", "the same URL again, no-cache", _FRESH), same_url="fresh", after="fresh"),
    _asking("cut", "the origin fails half-way, on purpose", ProbeRequest(n=8, gap=50, size=30, cut=4)),
)

HTTP2 = replace(_asking("http2", "over HTTP/2", _SMALL), http2=True)

# Asked when the battery saw nothing before the end: a buffer that is larger, or a timer that is longer, than it lasted.
SECOND_ROUND = (
    _asking("long", "small events for six seconds", ProbeRequest(n=24, gap=250, size=30)),
    _asking("huge", "16 KB every 16 ms", ProbeRequest(n=100, gap=16, size=16_000)),
)


def idle_variants(seconds: float) -> tuple[Asking, Asking]:
    """Return a stream with `seconds` of silence in its middle, and one that lasts as long but is never silent."""
    silence = round(seconds * 1000)
    lasts = silence + 700
    gap = min(1000, max(100, silence // 8))
    return (
        _asking("idle", f"{seconds:g} s of silence", ProbeRequest(n=8, gap=100, size=30, silence=silence)),
        _asking("active", f"{seconds:g} s, never silent", ProbeRequest(n=lasts // gap + 1, gap=gap, size=30)),
    )
