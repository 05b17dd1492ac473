"""What the benchmarks are to show: one target a line, in the order of the table in docs/performance.md.

A target is a bound of one figure. Whether it is met is computed from what was measured in the same run, and nowhere
written down. `Target.row` names the promise that it belongs to; a promise may have several figures.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A bound of one figure: exactly one of `most` and `least`, in `unit` ("x" for a ratio)."""

    key: str
    row: str
    what: str
    most: float | None = None
    least: float | None = None
    unit: str = "x"

    def __post_init__(self) -> None:
        if (self.most is None) == (self.least is None):
            raise ValueError(f"target {self.key!r} needs one bound, of most={self.most!r} and least={self.least!r}")

    def met(self, value: float) -> bool:
        """Tell whether a figure keeps within the bound; a figure that is not a number does not."""
        return value <= self.most if self.most is not None else value >= (self.least or 0.0)

    def bound(self) -> str:
        """Write the bound, as in `at most 2.5 x`."""
        word, limit = ("at most", self.most) if self.most is not None else ("at least", self.least)
        return f"{word} {limit:g} {self.unit}"

    def verdict(self, value: float) -> str:
        """Write `met` or `not met`."""
        return "met" if self.met(value) else "not met"


_ENCODE, _EVENT = "encode a token, a dict, 4 KB with 20 line breaks", "a full event, built, checked and encoded"
_BURST, _BURST_SYNC = "burst: async generator that never awaits", "burst: sync generator under ASGI"
_WSGI, _PACED = "WSGI: Flask and Django", "paced: 200 streams at 50 tokens/s"
_BLOCKING, _IDLE = "a generator that blocks 50 ms between yields", "idle: 5,000 connections"
_FAN_OUT, _BLOCKED = "fan-out to 1,000, one channel", "80 blocked sync streams"
_SPIN, _IMPORT = "a never-awaiting stream to a fast reader", "import streamkit.fastapi beyond import fastapi"
_MIDDLEWARE = "a non-streaming request through the ASGI middleware"

TARGETS = (
    Target("token-floor", _ENCODE, "a token, times the floor", most=2.5),
    Target("token-peer", _ENCODE, "a token, faster than the best peer", least=3),
    Target("dict-floor", _ENCODE, "a dict with orjson, times the floor", most=2),
    Target("dict-peer", _ENCODE, "a dict with orjson, faster than the best peer", least=6),
    Target("lines-floor", _ENCODE, "4 KB with 20 line breaks, times the floor", most=1.6),
    Target("lines-peer", _ENCODE, "4 KB with 20 line breaks, faster than the best peer", least=8),
    Target("dict-standard-peer", _ENCODE, "a dict without orjson, faster than the best peer", least=1.5),
    Target("event-peer", _EVENT, "a full event, faster than the best peer", least=2),
    Target("burst-sse-raw", _BURST, "SSE, times the raw floor's rate", least=10),
    Target("burst-sse-starlette", _BURST, "SSE, times Starlette's rate", least=15),
    Target("burst-ndjson-raw", _BURST, "NDJSON, times the raw floor's rate", least=10),
    Target("burst-ndjson-starlette", _BURST, "NDJSON, times Starlette's rate", least=15),
    Target("burst-sync-starlette", _BURST_SYNC, "times Starlette's rate", least=100),
    Target("wsgi-flask", _WSGI, "Flask, keepalive off, times the raw floor's rate", least=0.95),
    Target("wsgi-django", _WSGI, "Django, keepalive off, times the raw floor's rate", least=0.95),
    Target("wsgi-batched", _WSGI, "Flask, items that are ready together, times the raw floor's rate", least=1),
    Target("paced-cpu", _PACED, "CPU per token, times Starlette's", most=1.1),
    Target("paced-late", _PACED, "p50 lateness, times the raw floor's", most=1.2),
    Target("blocking-late", _BLOCKING, "p50 lateness", most=1, unit="ms"),
    Target("idle-memory", _IDLE, "memory of one connection", most=16, unit="KiB"),
    Target("idle-cpu", _IDLE, "keepalive CPU, times a raw app's with one shared timer", most=1.3),
    Target("fan-out-time", _FAN_OUT, "to the last client, times a raw app that shares one frame", most=1.5),
    Target("fan-out-cpu", _FAN_OUT, "CPU per delivery, times the lowest of the peers", most=1),
    Target("blocked-streams", _BLOCKED, "p50 of another sync endpoint, times its p50 without them", most=1.25),
    Target("spin", _SPIN, "until another request is answered", most=20, unit="ms"),
    Target("import", _IMPORT, "processor time", most=15, unit="ms"),
    Target("middleware", _MIDDLEWARE, "processor time", most=3, unit="us"),
)
