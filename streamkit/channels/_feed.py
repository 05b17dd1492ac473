"""How a subscription's outbox is filled: a place in each channel is found, what was missed is read, the tails go on.

Its reader, the subscription itself, takes what is there, has it `advance` where it is not live, and waits otherwise.

No id is sent before there is a place in every channel: with one that lacks a channel, a client that comes back would
begin there anew, and never hear of what it missed. Whatever waits may be cancelled and asked for again: no place moves
before what was awaited is there.
"""

from __future__ import annotations

import asyncio
import inspect

from streamkit._engine.register import logger
from streamkit.channels._entry import Entry, publishable
from streamkit.channels._history import Page, Reason
from streamkit.channels._hub import Hub
from streamkit.channels._log import PAGE
from streamkit.channels._options import Gap, Options, shown
from streamkit.channels._outbox import Note, Outbox
from streamkit.channels._place import Place
from streamkit.channels._position import Position, vector_text
from streamkit.errors import LogUnavailableError


class Feed:
    """Fills the outbox of one subscription.

    Attributes:
        outbox: What waits to be sent.
        live: Whether the tails do it by themselves, in all channels.
        owes_cursor: Whether the client is to get an id without anything to show.
        ended: Whether nothing more is put in.
        overflowed: Whether that is so because the reader was too slow.
        error: What the log has failed with, where that is why.
        joined: Whether it is in the channels.
        hub: Of the loop that it is read on, once it has joined.
        single: Whether it follows one channel alone.
        waiter: What the reader waits for, while it does.
    """

    __slots__ = (
        "_drops",
        "_options",
        "_owes_caught_up",
        "_places",
        "_positions",
        "_turn",
        "_unknown",
        "ended",
        "error",
        "hub",
        "joined",
        "live",
        "outbox",
        "overflowed",
        "owes_cursor",
        "single",
        "waiter",
    )

    def __init__(self, options: Options, positions: dict[str, Position | None], *, unknown: bool) -> None:
        self.outbox = Outbox(options.buffer_size)
        self.live = self.owes_cursor = self.ended = self.overflowed = self.joined = False
        self.error: Exception | None = None
        self.hub: Hub | None = None
        self.single = len(positions) == 1
        self.waiter: asyncio.Future[None] | None = None
        self._options = options
        self._drops = options.overflow == "drop_oldest"
        self._positions = positions
        self._unknown = unknown
        self._owes_caught_up = options.caught_up
        self._places: list[Place] = []
        self._turn = 0

    def join(self, hub: Hub) -> Hub:
        """Join the channels."""
        self.hub, self.joined = hub, True
        for name, position in self._positions.items():
            place = Place(self, hub.tail(name), position)
            place.tail.places.add(place)
            self._places.append(place)
        return hub

    # -- what the tails call -------------------------------------------------------------------------------------

    def put(self, place: Place, entry: Entry) -> None:
        """Queue an entry; where that is too much for the reader, do what was asked for."""
        outbox = self.outbox
        outbox.items.append((place, entry))  # what `Outbox.put` does, and `wake`: a call more is felt by thousands
        outbox.size += entry.size
        if outbox.size > outbox.limit and outbox.overflows:
            if self._drops:
                outbox.drop_oldest()
            else:
                self.overflowed = True
                outbox.clear()
                self.end()
        if (waiter := self.waiter) is not None:
            self.waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def look(self) -> None:
        """Have the reader look at the places and their tails anew."""
        self.live = False
        self.wake()

    def fail(self, error: Exception) -> None:
        """End with an error, behind what is still queued."""
        self.error = error
        self.end()

    def end(self) -> None:
        """Leave the channels; the reader finds the end behind what is still queued."""
        self.ended = True
        if self.hub is not None and self.joined:
            self.joined = False
            for place in self._places:
                place.live = False
                self.hub.leave(place)
        self.wake()

    # -- what the reader calls -----------------------------------------------------------------------------------

    def wake(self) -> None:
        """End the reader's wait."""
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():  # its task may have been cancelled
            waiter.set_result(None)

    def id(self) -> str | None:
        """Return where the client stands; None where it has no place yet in some channel."""
        if self.single:
            return self._places[0].text(self._places[0].sent) or None
        if any(place.sent is None for place in self._places):
            return None
        return vector_text(place.text(place.sent) for place in self._places)

    async def advance(self) -> bool:
        """Do the next thing to become live; False where there is nothing to do but wait."""
        place = next((place for place in self._places if place.position is None), None)
        if place is not None:
            return await self._begin(place)
        if self.owes_cursor:
            self.outbox.note(Note(None, {}, "cursor"))
            return True
        behind = [place for place in self._places if not place.live]
        if behind:
            place = behind[self._turn % len(behind)]
            self._turn += 1  # a channel in which more comes than this reader takes must not keep the others waiting
            return await self._replay(place)
        if self._owes_caught_up:
            self._owes_caught_up = False
            self.outbox.note(Note(None, {}, "caught-up"))
            return True
        if all(place.tail.sealed and place.position == place.tail.last for place in self._places):
            self.end()  # everything was sent that there will ever be
            return True
        self.live = True
        return False

    async def _begin(self, place: Place) -> bool:
        """Find a place in a channel for a client that has none."""
        if self._unknown or self._options.start == "oldest":
            page = await self._page(place, None, 0)
            if page is None:
                return False
            if self._unknown:
                await self._tell_gap(place, self._options.after or "", "unknown", page)
                return True
            at = page.at
        elif place.tail.last is None:
            return False
        else:
            at = place.tail.last
            self.owes_cursor = True  # nothing before the first event is missed by one who comes back
        place.position = place.sent = at
        place.judged = True
        return True

    async def _replay(self, place: Place) -> bool:
        """Queue what comes next in a channel, or have its tail go on with it."""
        tail, position, most = place.tail, place.position, self.outbox.limit // 2
        assert position is not None  # noqa: S101 - `_begin` was here
        missed = tail.after(position, most) if place.judged or position == tail.last else None
        if missed is None:
            page = await self._page(place, position)
            if page is None:
                return False
            place.judged = True
            if page.gap is not None:
                await self._tell_gap(place, place.text(place.sent), page.gap, page)
                return True
            self._take(place, page)
            if self.outbox.items:
                return True
            missed = tail.after(place.position or position, most)
        if missed is None:
            tail.look()  # it knows of more than the log has; it finds out why, and tells
            return False
        place.live = not missed or missed[-1].position == tail.last
        for entry in missed:
            place.position = entry.position
            self.put(place, entry)
        return True

    async def _page(self, place: Place, after: Position | None, count: int = PAGE) -> Page | None:
        """Return a page of the log; None where there is none, and the tail will say when to look again."""
        assert self.hub is not None  # noqa: S101 - `_enter` was here
        try:
            page = await self.hub.read(place.tail.channel, after, count)
        except LogUnavailableError as exc:
            if not self.ended:
                place.tail.unreachable(exc)
            return None
        return None if self.ended else page

    def _take(self, place: Place, page: Page) -> None:
        place.position = page.at
        for entry in page.entries:
            if not self.outbox.has_room:
                break  # it is read once more when there is
            place.position = entry.position
            self.outbox.put(place, entry)

    async def _tell_gap(self, place: Place, requested: str, reason: Reason, page: Page) -> None:
        """Say that events are missing, and go on as was asked for."""
        on_gap, at = self._options.on_gap, page.head
        gap = self._gap(place, requested, page.floor, reason)
        if reason != "unknown":  # which was logged when the id was read
            logger.info("A reader of channel %.200r is told of a gap: %s", gap.channel, reason)
        note = Note(place, self._gap_data(gap), "gap", at)
        notes = [note]
        if callable(on_gap):
            # The head was read before the snapshot is made: what is published meanwhile is sent after it. The gap has
            # no id: the client keeps its old one until it has the snapshot, and gets both again if it is cut off.
            snapshot = on_gap(gap)
            snapshot = await snapshot if inspect.isawaitable(snapshot) else snapshot
            if snapshot is not None:
                kind, data = publishable(snapshot)
                notes = [Note(place, note.data, "gap", has_id=False), Note(place, data, kind or "snapshot", at)]
        elif on_gap == "oldest":
            note.position = page.at
        place.position, place.judged, place.dropped = note.position, True, False
        for each in notes:
            self.outbox.note(each)
        if on_gap == "oldest":
            self._take(place, page)

    def overflow_note(self, place: Place, entry: Entry) -> Note:
        """Return what is said where entries before this one were dropped."""
        gap = self._gap(place, place.text(place.sent), entry.before, "overflow")
        return Note(place, self._gap_data(gap), "gap", entry.before)

    def _gap(self, place: Place, requested: str, oldest: Position, reason: Reason) -> Gap:
        return Gap(place.tail.channel, shown(requested), place.text(oldest), reason)

    def _gap_data(self, gap: Gap) -> dict[str, str]:
        data = {"requested": gap.requested, "oldest": gap.oldest, "reason": gap.reason}
        return data if self.single else {"channel": gap.channel, **data}
