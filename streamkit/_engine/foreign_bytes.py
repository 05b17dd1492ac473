"""Streams that an app has encoded by itself: which responses are one, and how their bytes pass through the engine.

The bytes of the app are never changed. Fillers go between its frames, where there is a filler and one can tell frames;
and only between frames may such a stream be ended before its time as if it were whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from streamkit._engine.boundary import Boundary, EventBoundary, LineBoundary
from streamkit._engine.clock import SYSTEM, Clock
from streamkit._engine.life import OnClose
from streamkit._engine.limit import StreamLimit
from streamkit._engine.policy import StreamPolicy, check_policy
from streamkit._engine.register import logger
from streamkit._engine.source import Source
from streamkit._engine.stream import Stream
from streamkit._format import Format
from streamkit.jsonseq import JSONSeq
from streamkit.ndjson import NDJSON
from streamkit.sse import EventStream

_KINDS: dict[str, tuple[Format, Callable[[], Boundary]]] = {
    "text/event-stream": (EventStream(), EventBoundary),
    "application/x-ndjson": (NDJSON(), LineBoundary),
    "application/jsonl": (NDJSON(), LineBoundary),
    "application/json-seq": (JSONSeq(), LineBoundary),
}

_ACCEPTED = re.compile("|".join(map(re.escape, _KINDS)), re.IGNORECASE)


def streaming_type(content_type: str) -> str | None:
    """Return the media type in a Content-Type where it is one that is always a stream."""
    bare = content_type.partition(";")[0].strip().lower()
    return bare if bare in _KINDS else None


def asks_for_stream(accept: str | None) -> bool:
    """Tell whether an Accept header names a media type that is always a stream."""
    return bool(accept) and _ACCEPTED.search(accept or "") is not None


class ForeignBytes(Format):
    """Chunks of bytes as an app has made them, under the Content-Type that it has given them.

    Attributes:
        known: Whether one can tell where its frames end.
    """

    def __init__(self, content_type: str, encoding: str | None) -> None:
        self.media_type = content_type.strip().lower()
        kind = streaming_type(content_type)
        self.known = kind is not None and encoding in (None, "", "identity")
        self._boundary: Callable[[], Boundary] = Boundary
        if kind is not None and not self.known:
            _warn_of_encoding(str(encoding))
        elif kind is not None:
            format, self._boundary = _KINDS[kind]
            self.keepalive, self.keepalive_by_default = format.keepalive, format.keepalive_by_default

    def encode(self, item: object) -> bytes:
        """Return the chunk.

        Raises:
            TypeError: It is no bytes, which no server takes.
        """
        if isinstance(item, bytes):
            return item
        raise TypeError(f"the app's body must give bytes, not {item!r:.200}")

    def boundary(self) -> Boundary:
        """Return what watches the frames of one stream."""
        return self._boundary()


@cache
def _warn_of_encoding(encoding: str) -> None:
    logger.warning(
        "The app sends a stream with Content-Encoding: %s. What compresses may hold each item back until the next, and"
        " no keepalive can be sent: let it leave streams alone.",
        encoding,
    )


class Promises:
    """What a middleware gives each stream of the app that it wraps.

    Raises:
        TypeError: An option is of the wrong kind.
    """

    def __init__(
        self,
        policy: StreamPolicy | None = None,
        limit: StreamLimit | None = None,
        on_close: OnClose | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self._policy = StreamPolicy() if policy is None else check_policy(policy)
        self._silent = replace(self._policy, keepalive=None)
        self._limit, self._on_close, self._clock = limit, on_close, clock
        self.stream((), ForeignBytes("", None), fillers=False)  # wrong options fail here

    @property
    def keepalive_asked(self) -> bool:
        """Whether the policy names seconds, and does not leave it to us."""
        return isinstance(self._policy.keepalive, int | float)

    def stream(self, content: Source, format: ForeignBytes, *, fillers: bool) -> Stream:
        """Return the stream of an app's content.

        Args:
            content: What gives the bytes, and closes what the app is to have closed.
            format: What the app says of its bytes.
            fillers: Whether fillers may be sent.
        """
        stream = Stream(content)
        stream.bind(
            format=format,
            policy=self._policy if fillers and format.keepalive else self._silent,
            on_close=self._on_close,
            limit=self._limit,
            clock=self._clock,
        )
        stream.boundary = format.boundary()
        return stream
