"""What waits to be sent to one reader, bounded in bytes; and what was not shown to it since it was given an id."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from streamkit.channels._entry import Entry
from streamkit.channels._log import Log
from streamkit.channels._place import Place
from streamkit.channels._position import Position

SHARE = 4
"""The part of a log's retention, one `SHARE`th, that may be hidden before the client's id has to move."""


@dataclass(slots=True, eq=False)
class Note:
    """An event of the subscription's own; when it is sent, `place` is at `position`, if there is one."""

    place: Place | None
    data: Any
    event: str
    position: Position | None = None
    has_id: bool = True


class Outbox:
    """Entries and notes in the order in which they are sent.

    Args:
        limit: Bytes of entries.

    Attributes:
        items: To be read; what is sent next comes first.
        size: Of its entries, in bytes.
    """

    __slots__ = ("items", "limit", "size")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.items: deque[tuple[Place, Entry] | Note] = deque()
        self.size = 0

    @property
    def has_room(self) -> bool:
        """Whether to put more of a replay here: half of the room is for what comes live, on other channels."""
        return not self.items or self.size < self.limit // 2

    def note(self, note: Note) -> None:
        """Append a note."""
        self.items.append(note)

    @property
    def overflows(self) -> bool:
        """Whether there is too much; one entry is never."""
        return self.size > self.limit and len(self.items) > 1

    def put(self, place: Place, entry: Entry) -> None:
        """Append an entry."""
        self.items.append((place, entry))
        self.size += entry.size

    def pop(self) -> None:
        """Remove the first."""
        item = self.items.popleft()
        if type(item) is tuple:
            self.size -= item[1].size

    def clear(self) -> None:
        """Drop everything."""
        self.items.clear()
        self.size = 0

    def drop_oldest(self) -> None:
        """Drop the oldest entries until there is not too much; notes are small, and stay."""
        notes: list[Note] = []
        while self.overflows:
            item = self.items[0]
            if isinstance(item, Note):
                notes.append(item)
            else:
                item[0].dropped = True
            self.pop()
        self.items.extendleft(reversed(notes))


class Hidden:
    """Counts what was not shown since the client was given an id.

    An id rides on what is shown. A client that comes back with an old one has the hidden entries read and hidden again,
    and would be told of a gap, though it misses nothing, only where the log has dropped some of them.
    """

    __slots__ = ("_bytes", "_log", "_since", "count")

    def __init__(self, log: Log) -> None:
        self._log = log
        self.clear()

    def clear(self) -> None:
        """Begin anew: an id is sent."""
        self.count = self._bytes = self._since = 0

    def add(self, entry: Entry) -> bool:
        """Count an entry; True where the client's id has to move before the log overtakes it."""
        log, tag = self._log, entry.position.tag
        self._since = self._since or tag
        self.count += 1
        self._bytes += entry.size
        return (
            self.count * SHARE >= log.max_events
            or self._bytes * SHARE >= log.max_bytes
            or (log.max_age is not None and (tag - self._since) * SHARE >= log.max_age * 1_000_000)
        )
