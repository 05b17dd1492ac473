"""What the log knows of detached streams: who runs one, how it stands, and how it ended.

A stream is its channel, in which its first entry is stored only if it is the first, and the last one seals it: of all
who would start or end it, one does. A lease says that its producer lives. All of this is sync, for any thread.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from streamkit.channels._ends import STARTED, State, Status, end_payload, state_of
from streamkit.channels._log import Log
from streamkit.channels._position import Position, checksum, read_positions, text_of
from streamkit.errors import LogUnavailableError, SealedError


class Opening(NamedTuple):
    """What a reader has to know of a stream.

    Attributes:
        state: How it stands.
        begun: Whether anything is stored; it is not yet in the moment between the lease and the first entry.
        started: The id of the first entry, which is shown to nobody.
        first: The id that one who wants all of it goes on from; that of an entry which never was, where the first
            items are no longer there, so that a gap is told.
    """

    state: State
    begun: bool = False
    started: str | None = None
    first: str = ""


class Records:
    """The detached streams of one log."""

    def __init__(self, log: Log, lease: float) -> None:
        self._log = log
        self._lease = lease

    # -- for a producer ------------------------------------------------------------------------------------------

    def claim(self, channel: str, owner: str) -> bool:
        """Take the lease and write the first entry; False where somebody has.

        Raises:
            LogUnavailableError: The log did not answer. Where the entry was stored all the same, nobody holds the lease
                of it, so that the next who looks records the stream as lost.
        """
        if not self._log.hold(channel, owner, self._lease):
            return False
        stored = False
        try:
            stored = self._log.append(channel, STARTED, first=True).stored
        finally:
            if not stored:
                with suppress(LogUnavailableError):
                    self._log.release(channel, owner)
        return stored

    def renew(self, channel: str, owner: str, seconds: float) -> None:
        """Say that the producer lives, and for how long that is to be believed."""
        self._log.hold(channel, owner, seconds)

    def is_sealed(self, channel: str) -> bool:
        """Tell whether somebody has recorded an end."""
        return self._log.page(channel, None, 0).sealed

    def end(self, channel: str, owner: str, payload: bytes) -> None:
        """Record an end, unless somebody has, and give the lease back."""
        with suppress(SealedError):
            self._log.append(channel, payload, seal=True)
        self._log.release(channel, owner)

    # -- for everybody -------------------------------------------------------------------------------------------

    def seal(self, channel: str, payload: bytes) -> bool:
        """Record an end; False where there is no such stream, or it has ended."""
        if not self._log.exists(channel):
            return False
        try:
            self._log.append(channel, payload, seal=True)
        except SealedError:
            return False
        return True

    def look(self, channel: str) -> tuple[State, Position | None]:
        """Return how a stream stands and where its channel ends; record it as lost where nobody holds its lease."""
        if not self._log.exists(channel):  # looked at otherwise, it would be made
            return ("unknown" if self._log.holder(channel) is None else "running"), None
        page = self._log.page(channel, None, 0)
        if not page.sealed:
            if self._log.holder(channel) is not None:
                return "running", page.head
            if page.head.offset == 0:
                return "unknown", None
            self.seal(channel, end_payload("lost"))
        last = self._log.last(channel)
        if last is None or last.payload is None:
            return "unknown", None  # its end is too old to be kept
        return state_of(last.payload), last.position

    def status(self, channel: str, after: str | None) -> Status:
        """Return how a stream stands, and whether the end is what the id `after` stands for."""
        state, head = self.look(channel)
        if state in ("unknown", "running") or not after:
            return Status(state, False)
        return Status(state, (read_positions(after, {checksum(channel): channel}) or {}).get(channel) == head)

    def opening(self, channel: str) -> Opening:
        """Return what a reader has to know who comes now."""
        state, head = self.look(channel)
        if head is None or head.offset == 0:
            return Opening(state)
        page, sum_ = self._log.page(channel, None, 1), checksum(channel)
        first, floor = page.entries[0] if page.entries else None, page.floor
        if first is not None and first.payload == STARTED and first.position.offset == 1:
            started = text_of(sum_, first.position)
            return Opening(state, True, started, started)
        if floor.offset > 1:
            floor = Position(floor.epoch, 0, 0)  # the first items were dropped
        elif floor.offset == 0:
            floor = Position(0, 0, 0)  # the log was lost, and this is what was written since
        return Opening(state, True, None, text_of(sum_, floor))
