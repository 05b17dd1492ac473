"""What a log holds: entries, and the payload of each, which is an event that was encoded when it was published. Pure.

A *fence* is an entry without a payload. It begins an epoch: what came before it may be incomplete, because the log was
lost, reset or rolled back, so a reader that passes it has a gap.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from streamkit._json import Dumps, as_text, encoder, text_bytes
from streamkit.channels._position import Position, text_of
from streamkit.errors import EncodeError, InvalidEventError
from streamkit.sse import MISSING, EncodedEvent, Event

RESERVED = frozenset({"gap", "cursor", "caught-up"})
"""The types of the events that a subscription itself sends."""

OVERHEAD = 100
"""Bytes that an entry is counted for besides its payload; about what each log needs for it."""


@dataclass(slots=True, eq=False)
class Entry:
    """One entry of one channel, as every log gives it.

    Attributes:
        position: Where a reader stands who has seen it.
        prev: The tag of the entry before.
        payload: What was published; None in a fence.
        sealed: Whether the channel takes nothing after it.
        key: The idempotency key it was published with; only the log looks at it.
        size: The bytes it is counted for.
        shared: What `event` has returned, once it was called.
    """

    position: Position
    prev: int
    payload: bytes | None
    sealed: bool = False
    key: str | None = None
    size: int = field(init=False)
    shared: EncodedEvent | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.size = OVERHEAD + len(self.payload or b"")

    @property
    def before(self) -> Position:
        """Where a reader stands who is to see it next."""
        return Position(self.position.epoch, self.position.offset - 1, self.prev)

    def follows(self, position: Position) -> bool:
        """Tell whether nothing is missing between a position and this entry."""
        return self.payload is not None and self.before == position

    def event(self, checksum: str) -> EncodedEvent:
        """Return the event, with its position as id; the same object for all who subscribe to this channel alone."""
        if self.shared is None:
            self.shared = read_payload(self.payload or b"t\n", text_of(checksum, self.position))
        return self.shared


def write_payload(item: object, dumps: Dumps | None) -> bytes:
    r"""Return what a log stores of an item: `t` or `j`, the event type, LF, and the data as text or JSON.

    Raises:
        InvalidEventError: An Event has what only the log, or only one response, may give it.
        EncodeError: The item has no form in JSON.
    """
    kind, data = publishable(item)
    text = as_text(data)
    if text is not None:
        return b"t%b\n%b" % ((kind or "").encode(), text_bytes(text))
    if isinstance(data, bytes | bytearray | memoryview):
        raise EncodeError(type(data).__name__, "decode it to str first")
    line = encoder(dumps)(data)
    if b"\n" in line or b"\r" in line:  # of a `dumps` that lays it out: in JSON these stand between tokens only
        line = line.replace(b"\n", b" ").replace(b"\r", b" ")
    return b"j%b\n%b" % ((kind or "").encode(), line)


def read_payload(payload: bytes, id: str) -> EncodedEvent:
    """Return the event that was stored.

    Raises:
        ValueError: `write_payload` writes no such type; so may reading the event's data, if that is no such data.
    """
    head, _, data = payload.partition(b"\n")
    return EncodedEvent(data, is_json=head[:1] == b"j", event=head[1:].decode() or None, id=id)


def publishable(item: object) -> tuple[str | None, object]:
    """Return the event type and the data of what is sent to many.

    Raises:
        InvalidEventError: An Event has what only the log, or only one response, may give it.
    """
    if not isinstance(item, Event):
        return None, item
    if item.data is MISSING:
        raise InvalidEventError("data", item, 'is what is published, use data="" for an event without any')
    for name in ("id", "retry", "comment"):
        if (value := getattr(item, name)) is not None:
            reason = "is given by the log" if name == "id" else "belongs to one response, and this is published to many"
            raise InvalidEventError(name, value, reason)
    if item.event in RESERVED:
        raise InvalidEventError("event", item.event, "is what a subscription says of itself")
    return item.event, item.data
