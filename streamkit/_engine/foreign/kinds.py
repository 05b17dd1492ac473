"""What of an app's responses is a stream, what its head must say, and where in its bytes something may be put in.

Values in, values out. A response whose media type is that of a stream is one. Any other is one when it has no
Content-Length and its first piece of body says that more is to come.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from streamkit._engine.policy import StreamPolicy
from streamkit._format import Format
from streamkit.headers import SERVERS_OWN
from streamkit.jsonseq import JSONSeq
from streamkit.ndjson import NDJSON
from streamkit.sse import EventStream

RawHeaders = list[tuple[bytes, bytes]]

EVENT_STREAM = b"text/event-stream"
STREAMING = (EVENT_STREAM, b"application/x-ndjson", b"application/jsonl", b"application/json-seq")
COMPRESSED = (b"gzip", b"br", b"deflate", b"zstd")

_OWN = frozenset(name.encode() for name in SERVERS_OWN)
_DEFAULTS = ((b"cache-control", b"no-cache, no-transform"), (b"x-accel-buffering", b"no"))


class Opaque(Format):
    """A stream of bytes that mean nothing to us."""

    media_type = "application/octet-stream"


_FORMATS: dict[bytes, Format] = {
    EVENT_STREAM: EventStream(),
    b"application/x-ndjson": NDJSON(),
    b"application/jsonl": NDJSON(media_type="application/jsonl"),
    b"application/json-seq": JSONSeq(),
}
OPAQUE = Opaque()


def judge(status: int, headers: Iterable[Any]) -> tuple[Format | None, bool]:
    """Tell by its head whether a response is a stream.

    Returns:
        Its format if it is one for sure, and whether it may be one: its first piece of body tells.
    """
    media_type = encoding = b""
    has_length = False
    for raw, value in headers:
        name = raw.lower()
        if name == b"content-length":
            has_length = True
        elif name == b"content-type":
            media_type = value.lower().partition(b";")[0].rstrip()
        elif name == b"content-encoding":
            encoding = value.strip().lower()
    if has_length and media_type != EVENT_STREAM:
        return None, False
    if status < 200 or status in {204, 304}:
        return None, False
    format = _FORMATS.get(media_type)
    return OPAQUE if format is not None and encoding in COMPRESSED else format, True


def compressed_type(headers: Iterable[Any]) -> tuple[str, str] | None:
    """Return media type and encoding of a head, where the media type is a stream's and the app compresses it."""
    found = {raw.lower(): value for raw, value in headers}
    media_type = found.get(b"content-type", b"").partition(b";")[0].strip().lower()
    encoding = found.get(b"content-encoding", b"").strip().lower()
    if media_type in STREAMING and encoding in COMPRESSED:
        return media_type.decode("latin-1"), encoding.decode("latin-1")
    return None


def stream_headers(headers: Iterable[Any], *, framed_by_server: bool) -> RawHeaders:
    """Return the headers of a stream: the app's own, and our defaults where it has said nothing.

    Args:
        headers: Of the app.
        framed_by_server: Leave out what a server says itself: the app cannot know how its stream is framed.
    """
    kept = [(raw, value) for raw, value in headers if not (framed_by_server and raw.lower() in _OWN)]
    said = {raw.lower() for raw, _ in kept}
    return kept + [pair for pair in _DEFAULTS if pair[0] not in said]


def interval_of(policy: StreamPolicy, format: Format) -> float | None:
    """Return the seconds between two fillers; None where the stream has none, whatever the policy asks for."""
    return policy.keepalive_interval(format) if format.keepalive else None


class Seam:
    """Where a stream's bytes may be parted: here, anywhere. `open` tells whether its end so far is such a place."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open = True

    def passed(self, chunk: bytes) -> None:
        """Take note of what has been sent."""


class LineSeam(Seam):
    """Between two lines, each a JSON text, or two records, which end by a line break too."""

    __slots__ = ()

    def passed(self, chunk: bytes) -> None:
        """Take note of what has been sent."""
        if chunk:
            self.open = chunk.endswith(b"\n")


class EventSeam(Seam):
    """After a blank line (WHATWG HTML, 9.2.6), and after comment lines that follow it."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self.open = True
        self._tail = b""

    def passed(self, chunk: bytes) -> None:
        """Take note of what has been sent."""
        if not chunk or (self.open and _is_comment(chunk)):
            return
        self._tail = (self._tail + chunk[-4:])[-4:]
        self.open = self._tail.endswith((b"\n\n", b"\r\r", b"\n\r\n"))


def _is_comment(chunk: bytes) -> bool:
    """Tell whether a chunk is one whole comment line; the keepalive of another library, say."""
    return chunk.startswith(b":") and chunk.endswith(b"\n") and chunk.count(b"\n") == 1 and chunk.count(b"\r") <= 1


def seam_of(format: Format) -> Seam:
    """Return what finds the seams of a format."""
    if isinstance(format, EventStream):
        return EventSeam()
    return Seam() if isinstance(format, Opaque) else LineSeam()


def asks_for_stream(headers: Iterable[Any]) -> bool:
    """Tell whether a request's Accept header names the media type of a stream."""
    for name, value in headers:
        if name == b"accept":
            return _names_stream(value)
    return False


@lru_cache(maxsize=256)  # browsers and clients send few values
def _names_stream(accept: bytes) -> bool:
    accepted = accept.lower()
    return any(media_type in accepted for media_type in STREAMING)
