"""How the entries of a channel follow each other, and what a reader has missed. Pure.

`begin`, `fence`, `follow` and `is_behind` are for logs that count in Python; a script does the same inside Redis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from streamkit.channels._entry import Entry
from streamkit.channels._position import Position

Reason = Literal["evicted", "reset", "unknown", "overflow"]
"""Why events are missing: the log dropped them; it was lost, replaced or rolled back; the id is none of this channel;
the reader was too slow."""


class View(NamedTuple):
    """Part of a channel at one moment.

    Attributes:
        floor: The position before the oldest entry; the head where there is none.
        head: The position of the last entry that there ever was.
        sealed: Whether the channel takes nothing more.
        entries: In order, from the offset that was asked for.
    """

    floor: Position
    head: Position
    sealed: bool
    entries: list[Entry]


class Page(NamedTuple):
    """What a reader gets next.

    Attributes:
        entries: What follows `at`, none of them a fence.
        at: The position that the reader goes on from: its own, unless there is a gap.
        gap: Why events are missing before `at`; None where none are.
        head: Of the channel.
        floor: Of the channel.
        sealed: Whether the channel takes nothing more.
    """

    entries: list[Entry]
    at: Position
    gap: Reason | None
    head: Position
    floor: Position
    sealed: bool


def fault(view: View, after: Position) -> Reason | None:
    """Tell what is wrong with a position; None where the log still has, or had, that very entry."""
    if after in (view.floor, view.head) or any(entry.position == after for entry in view.entries[:1]):
        return None
    older = after.offset < view.floor.offset and after.tag < view.floor.tag
    return "evicted" if older and after.epoch == view.floor.epoch else "reset"


def onwards(view: View, at: Position, gap: Reason | None, count: int) -> Page:
    """Return the page of at most `count` entries after a position.

    Args:
        view: From that position on.
        at: Where the reader is; with a gap, or where a fence comes next, it goes on after what it has surely seen.
        gap: Why events are missing before that.
        count: Entries at most.
    """
    following = [entry for entry in view.entries if entry.position.offset > at.offset]
    while following and following[0].payload is None:
        fence = following.pop(0)
        if fence.before != at:  # as it is for a reader who begins at a floor that is a fence's
            gap = gap or "reset"
        at = fence.position
    entries: list[Entry] = []
    for entry in following[:count]:
        if not entry.follows(entries[-1].position if entries else at):
            break  # a fence: the next page begins with it
        entries.append(entry)
    return Page(entries, at, gap, view.head, view.floor, view.sealed)


def begin(stamp: int, known: Position | None) -> Position:
    """Return the position before the first entry of a channel that is not there."""
    if known is None:
        return Position(stamp, 0, stamp)
    return Position(max(stamp, known.epoch + 1, known.tag + 1), 0, max(stamp, known.tag + 1))


def fence(head: Position, known: Position, stamp: int) -> Entry:
    """Return the entry that begins a new epoch behind `head`, in a log that is behind what is `known`."""
    # Later than the head as well: within a millisecond stamps are random, and whoever knows the head must not take the
    # new epoch for an older history.
    later = max(stamp, known.tag + 1, head.tag + 1)
    position = Position(max(later, head.epoch + 1, known.epoch + 1), head.offset + 1, later)
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
    if known is None:
        return False
    if head.epoch > known.epoch:
        # Others have begun an epoch since; but not since an entry that is younger: that one went to another history, as
        # to a master that had been demoted.
        return known.tag > head.epoch
    if head.epoch < known.epoch or head.offset < known.offset:
        return True
    return tag_at(known.offset) not in (None, known.tag)
