"""What of an app's responses is a stream, and how the bytes of one pass.

A response whose media type is that of a stream is one. Any other is one where it has no Content-Length, and what its
interface shows of its body says that it comes in pieces.

The bytes of the app are never changed. Fillers go between its frames, where there is a filler and one can tell frames;
and only between frames may a stream be ended before its time as if it were whole. Of bytes that are of an unknown type,
or compressed, nothing can be told.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from streamkit._engine.boundary import Boundary, EventBoundary, LineBoundary
from streamkit._engine.register import logger
from streamkit._format import Format
from streamkit._headers import media_type
from streamkit.jsonseq import JSONSeq
from streamkit.ndjson import NDJSON
from streamkit.sse import EventStream

_warned: set[str] = set()  # of these encodings


class ForeignBytes(Format):
    """Chunks of bytes as an app has made them.

    Args:
        like: The format of its frames; None where one cannot tell frames.
        boundary: Makes what finds their ends.
    """

    media_type = "application/octet-stream"

    def __init__(self, like: Format | None = None, boundary: Callable[[], Boundary] = Boundary) -> None:
        if like is not None:
            self.media_type, self.keepalive = like.media_type, like.keepalive
            self.keepalive_by_default = like.keepalive_by_default
        self._boundary = boundary

    def boundary(self) -> Boundary:
        """Return what finds the ends of frames in one stream."""
        return self._boundary()

    def under(self, encoding: str) -> ForeignBytes:
        """Return what these bytes are when they have this Content-Encoding; one that compresses draws a warning."""
        if (encoding := encoding.strip().lower()) in {"", "identity"}:
            return self
        if encoding not in _warned:
            _warned.add(encoding)
            logger.warning(
                "The app sends a stream of type %s with Content-Encoding: %s. What compresses may hold each item back"
                " until the next, and no keepalive can be put between them: have it leave streams alone.",
                *(self.media_type, encoding),
            )
        return OPAQUE

    def encode(self, item: object) -> bytes:
        """Return the chunk.

        Raises:
            TypeError: It is no bytes, which no server takes.
        """
        if isinstance(item, bytes):
            return item
        raise TypeError(f"the app's body must give bytes, not {item!r:.200}")


OPAQUE = ForeignBytes()
"""Bytes that nothing is known of."""

EVENT_STREAM = "text/event-stream"

KINDS = {
    kind.media_type: kind
    for kind in (
        ForeignBytes(EventStream(media_type=EVENT_STREAM), EventBoundary),
        ForeignBytes(NDJSON(media_type="application/x-ndjson"), LineBoundary),
        ForeignBytes(NDJSON(media_type="application/jsonl"), LineBoundary),
        ForeignBytes(JSONSeq(media_type="application/json-seq"), LineBoundary),
    )
}
"""By the media types that are always a stream's."""


@lru_cache(maxsize=256)  # an app has few of them, and says one with each response
def kind_of(content_type: str, sized: bool = False) -> ForeignBytes | None:
    """Return what a response is whose head tells that it is a stream, or None where the head does not tell.

    Args:
        content_type: Its Content-Type.
        sized: It has a Content-Length, and so is whole; an event stream cannot be.
    """
    kind = media_type(content_type)
    return KINDS.get(kind) if not sized or kind == EVENT_STREAM else None


@lru_cache(maxsize=256)  # browsers and clients send few values
def asks_for_stream(accept: str) -> bool:
    """Tell whether an Accept header names a media type that is always a stream's."""
    accepted = accept.lower()
    return any(media_type in accepted for media_type in KINDS)
