"""What a client makes of a response as it arrives: items, comments, and words for an error. Pure."""

from __future__ import annotations

import json
from codecs import getincrementaldecoder
from collections import deque
from typing import Any

from streamkit._headers import media_type
from streamkit.decode import EventDecoder, JSONSeqDecoder, NDJSONDecoder
from streamkit.errors import EncodeError
from streamkit.sse import MISSING, Event, EventStream
from streamkit.testing._errors import NotAStreamError

SHOWN = 5
"""Items, and hundreds of bytes, that an error shows of what had arrived."""


class ReceivedEvent(Event):
    """An event as a client got it: `data` is text, `id` the one that came with this event, None where none did.

    It equals an `Event` that a client would get like this: `Event({"n": 1}, id=7)` is what a view may have sent as it
    stands. A `retry` or comment is not compared, for no client dispatches it.
    """

    __slots__ = ()
    __hash__: None = None  # type: ignore[assignment]  # it equals events whose data cannot be hashed

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return (self.event or None, self.id) == (other.event or None, other.id) and self._has_data_of(other)

    def _has_data_of(self, other: Event) -> bool:
        if other.data is MISSING:
            return False
        try:
            (sent,) = EventDecoder(max_event_size=None).feed(EventStream().encode(Event(other.data)))
        except EncodeError:
            return False
        if self.data == sent.data:
            return True
        try:
            return not isinstance(other.data, str) and self.json() == json.loads(sent.data)
        except ValueError:
            return False

    def json(self) -> Any:
        """Return the value that the data is the JSON of.

        Raises:
            ValueError: It is not JSON.
        """
        return json.loads(self.data)


class _Events(EventDecoder):
    """Reads events with the ids that are their own, and comments."""

    def __init__(self) -> None:
        super().__init__(max_event_size=None)
        self.comments: list[str] = []
        self._has_id = False

    def _take(self, line: bytes) -> list[Event]:
        if line.startswith(b":"):
            self.comments.append(line[1:].removeprefix(b" ").decode(errors="replace"))
        self._has_id |= line.partition(b":")[0] == b"id"
        found = super()._take(line)
        if not line:
            has_id, self._has_id = self._has_id, False
            return [ReceivedEvent(one.data, event=one.event, id=one.id if has_id else None) for one in found]
        return found


class _Text:
    """Reads plain text, piece by piece."""

    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-8")()

    def feed(self, chunk: bytes) -> list[str]:
        text = self._decoder.decode(chunk)
        return [text] if text else []

    def close(self) -> list[str]:
        self._decoder.decode(b"", final=True)
        return []


def _decoder(kind: str) -> Any:
    if kind == "text/event-stream":
        return _Events()
    if kind in ("application/x-ndjson", "application/jsonl"):
        return NDJSONDecoder(max_event_size=None)
    if kind == "application/json-seq":
        return JSONSeqDecoder(max_event_size=None)
    return _Text() if kind == "text/plain" else None


class Reading:
    """One response as it arrives.

    Attributes:
        status: The status code; 0 before the head.
        headers: Names and values in order.
        raw: The body so far.
        unread: Items that the test has not taken yet.
        fillers: Chunks that held no item, such as keepalives.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.media_type = ""
        self.raw = bytearray()
        self.unread: deque[Any] = deque()
        self.fillers: deque[bytes] = deque()
        self._latest: deque[Any] = deque(maxlen=SHOWN)
        self._count = 0
        self._decoder: Any = None

    def begin(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Take the head."""
        self.status, self.headers = status, headers
        found = {name.lower(): value for name, value in headers}
        self.media_type = media_type(found.get("content-type", ""))
        self._decoder = _decoder(self.media_type) if status < 300 else None

    def feed(self, chunk: bytes) -> None:
        """Take bytes of the body."""
        self.raw += chunk
        if self._decoder is not None and chunk:
            comments = len(self.comments)
            items = self._decoder.feed(chunk)
            self._keep(items)
            if len(self.comments) > comments or not (items or chunk.strip(b"\x1e\n")):
                self.fillers.append(chunk)

    def end(self) -> None:
        """Take note that the body is complete."""
        if self._decoder is not None:
            self._keep(self._decoder.close())

    def _keep(self, items: list[Any]) -> None:
        self.unread.extend(items)
        self._latest.extend(items)
        self._count += len(items)

    @property
    def comments(self) -> list[str]:
        """The comments of an event stream; keepalives are empty ones."""
        return self._decoder.comments if isinstance(self._decoder, _Events) else []

    def check(self) -> None:
        """Raise NotAStreamError where the response can have no items; one without a body has none."""
        if self._decoder is None and self.status not in (0, 204):
            body = bytes(self.raw[: SHOWN * 100])
            raise NotAStreamError(f"status {self.status}, {self.media_type or 'no content type'}: {body!r}")

    def __str__(self) -> str:
        if not self.status:
            return "nothing had arrived"
        tail = bytes(self.raw[-SHOWN * 100 :])
        latest = list(self._latest)
        shown = f"the last {len(latest)} of {self._count}" if self._count > len(latest) else self._count
        return (
            f"what had arrived: status {self.status}, {self.media_type or 'no content type'}, items ({shown}): {latest}"
            f", bytes ({len(self.raw)}): {tail!r}"
        )
