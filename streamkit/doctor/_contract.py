"""What the probe app and the doctor agree on: the query of a probe, the frames of its answer. Pure.

A probe is asked for by name and number only: every switch stands in a whitelist, every number has a limit, and so has
the whole. Nothing of the query is sent back but the numbers that were understood.

    first         the head leaves; `first` ms later the first frame
    n, gap        n frames, one every `gap` ms, by an absolute schedule
    size          bytes of padding in each frame; random, so that compression does not shrink it to nothing
    silence       ms of nothing in the middle, after frame n // 2
    cut           the origin fails after so many frames; 0 is never
    h             response headers: accel, no-cache, no-transform, identity
    kind          sse or ndjson
    v             any word; it makes the URL one that no cache has seen
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from streamkit.ndjson import NDJSON
from streamkit.sse import Event, EventStream

PATH = "/__stream_probe"
MARK = "streamkit_probe"  # the key by which the answer to a bare GET is known
VERSION = 1

LONGEST = 330_000  # ms that one answer may last: five minutes of silence, and room around it
LARGEST = 2**22  # bytes of padding in one answer

SWITCHES = {
    "accel": ("X-Accel-Buffering", "no"),
    "no-cache": ("Cache-Control", "no-cache"),
    "no-transform": ("Cache-Control", "no-transform"),
    "identity": ("Content-Encoding", "identity"),
}
FORMATS = {"sse": EventStream(json=True), "ndjson": NDJSON()}

# What is told of the request that arrived: what a hop on the way adds, removes or rewrites.
ECHOED = (
    "accept-encoding",
    "via",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-real-ip",
    "cdn-loop",
    "cf-ray",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
)

_MOST = {"n": 500, "gap": 5_000, "size": 16_384, "first": 5_000, "silence": 300_000, "cut": 500}


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """One probe. Times are in milliseconds, `size` in bytes.

    Raises:
        ValueError: A number is outside its limit, or the whole would be too long or too large.
    """

    n: int = 12
    gap: int = 100
    size: int = 0
    first: int = 0
    silence: int = 0
    cut: int = 0
    kind: str = "sse"
    h: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            value = getattr(self, name)
            least = 1 if name == "n" else 0
            if not least <= value <= most:
                raise ValueError(f"{name} must be from {least} to {most}; got {value}")
        if self.kind not in FORMATS:
            raise ValueError(f"kind must be one of {', '.join(FORMATS)}; got {self.kind!r:.50}")
        for switch in self.h:
            if switch not in SWITCHES:
                raise ValueError(f"h must be of {', '.join(SWITCHES)}; got {switch!r:.50}")
        if self.duration > LONGEST:
            raise ValueError(f"a probe lasts at most {LONGEST} ms; this one would last {self.duration}")
        if self.n * self.size > LARGEST:
            raise ValueError(f"a probe has at most {LARGEST} bytes; this one would have {self.n * self.size}")

    @property
    def duration(self) -> int:
        """Milliseconds from the head to the last frame."""
        return self.first + (self.n - 1) * self.gap + self.silence

    @classmethod
    def parse(cls, query: str) -> Self:
        """Read a query string; unknown parameters are refused, `token` and `v` are not ours to read.

        Raises:
            ValueError: It names a parameter that there is not, or a value that is not allowed.
        """
        values: dict[str, Any] = {}
        known = {field.name for field in fields(cls)}
        for name, text in parse_qsl(query, keep_blank_values=True):
            if name in ("token", "v"):
                continue
            if name not in known:
                raise ValueError(f"a probe has no parameter {name!r:.50}")
            values[name] = _value(name, text)
        return cls(**values)

    def query(self, **more: str) -> str:
        """Write the query string that `parse` reads, with `more` parameters behind."""
        pairs = {field.name: getattr(self, field.name) for field in fields(self)}
        pairs["h"] = ",".join(self.h)
        return urlencode({**pairs, **more})

    def headers(self) -> list[tuple[str, str]]:
        """Return the headers of the answer: its media type and those of the switches, none by default."""
        chosen: dict[str, list[str]] = {}
        for switch in self.h:
            name, value = SWITCHES[switch]
            chosen.setdefault(name, []).append(value)
        media_type = FORMATS[self.kind].media_type
        return [("Content-Type", media_type), *((name, ", ".join(values)) for name, values in chosen.items())]

    def schedule(self) -> Iterator[float]:
        """Yield when each frame is due, in seconds after the head."""
        for seq in range(self.n):
            silence = self.silence if seq >= self.n // 2 else 0
            yield (self.first + seq * self.gap + silence) / 1000


def _value(name: str, text: str) -> Any:
    if name == "h":
        return tuple(switch for switch in text.split(",") if switch)
    if name == "kind":
        return text
    # int() would also take "1_0", " 1" and digits of other scripts.
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f"{name} must be a whole number; got {text!r:.50}")
    return int(text)


def encode(kind: str, value: Mapping[str, Any]) -> bytes:
    """Return the bytes of one frame."""
    frame = FORMATS[kind]
    return frame.encode(Event(value)) if kind == "sse" else frame.encode(value)


def told(version: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Return what is echoed of a request: its HTTP version, and of its headers those of ECHOED, cut to 200 characters.

    Args:
        version: As in "1.1".
        headers: By lower-case names.
    """
    return {"http_version": version, **{name: headers[name][:200] for name in ECHOED if name in headers}}
