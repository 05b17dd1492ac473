"""One subscription's place in one of its channels, and what it says of the channel itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamkit.channels._entry import Entry
from streamkit.channels._hub import Cursor, Tail
from streamkit.channels._position import Position, checksum, text_of

if TYPE_CHECKING:
    from streamkit.channels._subscription import Subscription


@dataclass(slots=True, eq=False)
class Note:
    """An event of the subscription's own; when it is sent, the cursor is at `position`, if there is one."""

    cursor: Place | None
    data: Any
    event: str
    position: Position | None = None
    has_id: bool = True


class Place(Cursor):
    """A cursor, with what its subscription knows of the channel.

    Attributes:
        checksum: Stands for the channel in an id.
        sent: Behind the last entry that was sent, or seen and not shown.
        dropped: Whether entries behind that were dropped.
    """

    __slots__ = ("_subscription", "checksum", "dropped", "sent")

    def __init__(self, subscription: Subscription, tail: Tail, position: Position | None) -> None:
        super().__init__(tail)
        self._subscription = subscription
        self.checksum = checksum(tail.channel)
        self.position = self.sent = position
        self.dropped = False

    def put(self, entry: Entry) -> None:
        """Have the subscription send an entry."""
        self._subscription.put(self, entry)

    def resync(self) -> None:
        """Go back to reading the log."""
        super().resync()
        self._subscription.resync()

    def sealed(self) -> None:
        """Have the subscription see whether it is over: it may have read the last entry before it was told."""
        self._subscription.wake()

    def end(self) -> None:
        """End the whole subscription."""
        self._subscription.end()

    def text(self, position: Position | None) -> str:
        """Return a position of this channel as it stands in an id."""
        return "" if position is None else text_of(self.checksum, position)
