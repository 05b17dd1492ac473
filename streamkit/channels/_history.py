"""How a channel's entries follow each other, for logs that count in Python; a script for Redis does the same. Pure."""

from __future__ import annotations

from collections.abc import Callable

from streamkit.channels._entry import Entry
from streamkit.channels._position import Position


def begin(stamp: int, known: Position | None) -> Position:
    """Return the position before the first entry of a channel that is not there."""
    if known is None:
        return Position(stamp, 0, stamp)
    return Position(max(stamp, known.epoch + 1), 0, max(stamp, known.tag + 1))


def fence(head: Position, known: Position, stamp: int) -> Entry:
    """Return the entry that begins a new epoch behind `head`, in a log that is behind what is `known`."""
    position = Position(
        max(stamp, head.epoch + 1, known.epoch + 1), head.offset + 1, max(stamp, head.tag + 1, known.tag + 1)
    )
    return Entry(position, head.tag, None)


def follow(head: Position, stamp: int, payload: bytes, *, seal: bool = False, key: str | None = None) -> Entry:
    """Return the entry that comes behind `head`."""
    position = Position(head.epoch, head.offset + 1, max(stamp, head.tag + 1))
    return Entry(position, head.tag, payload, seal, key)


def is_behind(head: Position, known: Position | None, tag_at: Callable[[int], int | None]) -> bool:
    """Tell whether a log has gone back in time.

    Args:
        head: The log's.
        known: What this process has seen of it.
        tag_at: Returns the tag of the entry at an offset, or None where it is kept no more.
    """
    if known is None or head.epoch > known.epoch:
        return False
    if head.epoch < known.epoch or head.offset < known.offset:
        return True
    return tag_at(known.offset) not in (None, known.tag)
