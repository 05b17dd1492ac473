"""Where one subscription stands in one channel: what the tail of the channel passes entries to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamkit.channels._entry import Entry
from streamkit.channels._position import Position, checksum, text_of

if TYPE_CHECKING:
    from streamkit.channels._feed import Feed
    from streamkit.channels._tail import Tail


class Place:
    """A subscription's place in a channel.

    Attributes:
        tail: Of the channel.
        feed: Of the subscription.
        checksum: Stands for the channel in an id.
        live: Whether the tail passes entries on.
        position: Behind the last entry that was taken or read; None until there is one.
        judged: Whether that is one which the log knows, no longer what a client claims.
        sent: Behind the last entry that was sent, or seen and not shown; None before the first.
        dropped: Whether entries behind that were dropped.
    """

    __slots__ = ("checksum", "dropped", "feed", "judged", "live", "position", "sent", "tail")

    def __init__(self, feed: Feed, tail: Tail, position: Position | None) -> None:
        self.feed = feed
        self.tail = tail
        self.checksum = checksum(tail.channel)
        self.position = self.sent = position
        self.live = self.judged = self.dropped = False

    def take(self, entry: Entry, last: Position) -> None:
        """Take the entry after `last` from the tail; go back to reading where it does not follow."""
        position = self.position
        if position is last or (position is not None and entry.follows(position)):
            self.position = entry.position
            self.feed.put(self, entry)
        elif position is None or entry.position > position:  # else it was read from the log before it was told
            self.detach()

    def detach(self) -> None:
        """Go back to reading the log."""
        self.live = False
        self.feed.look()

    def text(self, position: Position | None) -> str:
        """Return a position of this channel as it stands in an id."""
        return "" if position is None else text_of(self.checksum, position)
