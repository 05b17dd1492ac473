"""One reader of one or more channels: replay, then live, with nothing missed, nothing twice, and every gap told.

All that is said of a channel is an Event: what was published, with the position as its id; `gap` where events are
missing; `cursor` where an id must move without anything to show; `caught-up`, if asked for. None of these is a frame
without data, which some clients would take for an empty event.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from typing import TYPE_CHECKING

from streamkit.channels._entry import Entry
from streamkit.channels._history import Page, Reason
from streamkit.channels._hub import Hub
from streamkit.channels._options import Gap, Options
from streamkit.channels._place import Note, Place
from streamkit.channels._position import Position, vector_text
from streamkit.errors import StreamCutError
from streamkit.sse import EncodedEvent, Event

if TYPE_CHECKING:
    from streamkit.channels._channels import Channels

SHOWN = 200
"""Characters of a client's id that are repeated to it."""


class Subscription:
    """An async iterator of Events, made by `Channels.subscribe`; read once, on one event loop.

    It ends where all its channels are sealed. Iterating it raises StreamCutError where the reader was so slow that it
    was disconnected.
    """

    def __init__(
        self, channels: Channels, positions: dict[str, Position | None], options: Options, *, unknown: bool
    ) -> None:
        self._channels = channels
        self._positions = positions
        self._options = options
        self._unknown = unknown
        self._hub: Hub | None = None
        self._cursors: list[Place] = []
        self._queue: deque[tuple[Place, Entry] | Note] = deque()
        self._queued = 0
        self._hidden: tuple[int, int, int] | None = None  # since an id was sent: entries, bytes, the tag of the first
        self._waiter: asyncio.Future[None] | None = None
        self._single = len(positions) == 1
        self._live = False  # all cursors are
        self._claimed = False
        self._ended = False
        self._overflowed = False
        self._owes_caught_up = options.caught_up

    def __aiter__(self) -> Subscription:
        if self._claimed:
            raise RuntimeError("a subscription is read once: subscribe again for each stream")
        self._claimed = True
        return self

    async def __anext__(self) -> Event:
        if self._hub is None and not self._ended:
            await self._enter()
        while True:
            while self._queue:
                event = self._next() if self._options.visible is None else await self._next_visible()
                if event is not None:
                    return event
            if self._overflowed:
                raise StreamCutError("slow_client")
            if self._ended:
                raise StopAsyncIteration
            if not self._live:
                await self._replay()
            elif self._cursors[0].tail.sealed and self._is_over():
                self.end()
            else:
                self._waiter = self._hub.loop.create_future()  # type: ignore[union-attr]  # it has entered
                await self._waiter

    def _is_over(self) -> bool:
        """Tell whether everything was sent that there will ever be."""
        return all(cursor.tail.sealed and cursor.position == cursor.tail.last for cursor in self._cursors)

    async def aclose(self) -> None:
        """Leave the channels."""
        self.end()

    def end(self) -> None:
        """Leave the channels; whoever iterates finds the end behind what is still queued. On its event loop."""
        self._ended = True
        self._leave()
        self.wake()

    def _leave(self) -> None:
        if self._hub is not None:
            for cursor in self._cursors:
                cursor.live = False
                self._hub.leave(cursor)

    # -- what the tails call -------------------------------------------------------------------------------------

    def put(self, cursor: Place, entry: Entry) -> None:
        """Queue an entry; where that is too much for the reader, do what was asked for."""
        self._queue.append((cursor, entry))
        self._queued += entry.size
        if self._queued > self._options.buffer_size and len(self._queue) > 1:
            self._overflow()
        self.wake()

    def resync(self) -> None:
        """Read the log again, for a cursor that is live no more."""
        self._live = False
        self.wake()

    def wake(self) -> None:
        """Have the reader look again."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():  # its reader may have been cancelled
            waiter.set_result(None)

    def _overflow(self) -> None:
        if self._options.overflow == "disconnect":
            self._overflowed = True
            self._queue.clear()
            self._queued = 0
            self._leave()
            return
        notes: list[Note] = []
        while self._queued > self._options.buffer_size and len(self._queue) > 1:
            item = self._queue.popleft()
            if isinstance(item, Note):
                notes.append(item)  # what was said of the channel itself is small, and not to be lost
            else:
                item[0].dropped = True
                self._queued -= item[1].size
        self._queue.extendleft(reversed(notes))

    # -- what is sent next ---------------------------------------------------------------------------------------

    def _next(self) -> Event:
        """Return the next event of the queue."""
        item = self._queue.popleft()
        if isinstance(item, Note):
            return self._note(item)
        cursor, entry = item
        if cursor.dropped:
            self._queue.appendleft(item)
            cursor.dropped = False
            gap = self._gap(cursor, cursor.text(cursor.sent), entry.before, "overflow")
            return self._note(Note(cursor, self._gap_data(gap), "gap", entry.before))
        self._queued -= entry.size
        cursor.sent = entry.position
        event = entry.event(cursor.checksum)
        return event if self._single else event.with_id(self._id())

    async def _next_visible(self) -> Event | None:
        """Return the next event of the queue; None for one that this reader may not see."""
        item = self._queue[0]
        event = self._next()
        if isinstance(item, Note) or not isinstance(event, EncodedEvent):  # else it says what was dropped
            return event
        visible = self._options.visible(event)  # type: ignore[misc]
        if not (await visible if inspect.isawaitable(visible) else visible):
            return self._hide(item[1])
        self._hidden = None
        return event

    def _hide(self, entry: Entry) -> Event | None:
        """Count an entry that is not shown; return an event that moves the client's id before the log overtakes it.

        An id rides on what is shown. A client that comes back with an old one has the hidden entries read and hidden
        again, and would be told of a gap, though it misses nothing, only where the log has dropped some of them.
        """
        log, (count, size, since) = self._channels.log, self._hidden or (0, 0, entry.position.tag)
        self._hidden = (count + 1, size + entry.size, since)
        age = (entry.position.tag - since) / 1_000_000
        lags = 4 * self._hidden[0] >= log.max_events or 4 * self._hidden[1] >= log.max_bytes
        if lags or (log.max_age is not None and 4 * age >= log.max_age):
            return self._note(Note(None, {}, "cursor"))
        return None

    def _note(self, note: Note) -> Event:
        if note.cursor is not None and note.position is not None:
            note.cursor.sent = note.position
        self._hidden = None
        return Event(note.data, event=note.event, id=self._id() if note.has_id else None)

    def _id(self) -> str:
        return vector_text(cursor.text(cursor.sent) for cursor in self._cursors if cursor.sent is not None)

    # -- where it comes from -------------------------------------------------------------------------------------

    async def _enter(self) -> None:
        """Join the channels, and find a place in those that the client has none in."""
        self._hub = hub = self._channels.hub()
        self._cursors = [Place(self, hub.join(name), position) for name, position in self._positions.items()]
        for cursor in self._cursors:
            cursor.tail.cursors.add(cursor)
        placed = False
        for cursor in self._cursors:
            last = await cursor.tail.ready_now()
            if self._unknown:
                page = await hub.read(cursor.tail.channel, None)
                await self._tell_gap(cursor, self._options.after or "", "unknown", page)
            elif cursor.position is None:
                if self._options.start == "oldest":
                    cursor.position = cursor.sent = (await hub.read(cursor.tail.channel, None, 0)).at
                else:
                    cursor.position = cursor.sent = last
                    placed = True
        if placed:  # else nothing that is published before the first event would be missed by one who comes back
            self._queue.append(Note(None, {}, "cursor"))

    async def _replay(self) -> None:
        """Queue what comes next in the first channel that is not live, or have its tail go on with it."""
        cursor = next(cursor for cursor in self._cursors if not cursor.live)
        tail, position = cursor.tail, cursor.position
        if self._hub is None or position is None:
            return
        if position != tail.last:
            page = await self._hub.read(tail.channel, position)
            if page.gap is not None:
                await self._tell_gap(cursor, cursor.text(position), page.gap, page)
            else:
                self._read(cursor, page)
        if not self._queue and cursor.position is not None and tail.last is not None:
            # A tail that is behind tells of entries that were read; the cursor knows them.
            cursor.live = tail.last <= cursor.position
        self._live = all(cursor.live for cursor in self._cursors)
        if self._owes_caught_up and self._live:
            self._owes_caught_up = False
            self._queue.append(Note(None, {}, "caught-up"))

    def _read(self, cursor: Place, page: Page) -> None:
        cursor.position = page.at
        for entry in page.entries:
            cursor.position = entry.position
            self._queue.append((cursor, entry))
            self._queued += entry.size

    async def _tell_gap(self, cursor: Place, requested: str, reason: Reason, page: Page) -> None:
        """Say that events are missing, and go on as was asked for."""
        on_gap = self._options.on_gap
        gap = self._gap(cursor, requested, page.floor, reason)
        if on_gap == "oldest":
            self._queue.append(Note(cursor, self._gap_data(gap), "gap", page.at))
            self._read(cursor, page)
            return
        cursor.position = page.head
        if on_gap == "live":
            self._queue.append(Note(cursor, self._gap_data(gap), "gap", page.head))
            return
        # The head was read before the snapshot is made: what is published meanwhile is sent after it. Until all of it
        # is sent the client keeps its old id, so one that is cut off in between gets both again.
        snapshot = on_gap(gap)
        snapshot = await snapshot if inspect.isawaitable(snapshot) else snapshot
        if snapshot is None:
            self._queue.append(Note(cursor, self._gap_data(gap), "gap", page.head))
            return
        self._queue.append(Note(cursor, self._gap_data(gap), "gap", has_id=False))
        data, kind = (snapshot.data, snapshot.event) if isinstance(snapshot, Event) else (snapshot, None)
        self._queue.append(Note(cursor, data, kind or "snapshot", page.head))

    def _gap(self, cursor: Place, requested: str, oldest: Position, reason: Reason) -> Gap:
        return Gap(cursor.tail.channel, requested[:SHOWN], cursor.text(oldest), reason)

    def _gap_data(self, gap: Gap) -> dict[str, str]:
        data = {"requested": gap.requested, "oldest": gap.oldest, "reason": gap.reason}
        return data if self._single else {"channel": gap.channel, **data}
