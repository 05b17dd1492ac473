"""One reader of one or more channels: replay, then live, with nothing missed, nothing twice, and every gap told.

All that is said of a channel is an Event: what was published, with the position as its id; `gap` where events are
missing; `cursor` where an id must move without anything to show; `caught-up`, if asked for. None of these is a frame
without data, which some clients would take for an empty event.

The reader may be cancelled wherever it waits, and may then ask again: nothing leaves the outbox before what was awaited
is there.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, NoReturn
from weakref import WeakMethod

from streamkit._engine.clock import Timer
from streamkit._engine.handoff import call_threadsafe
from streamkit.channels._entry import Entry
from streamkit.channels._feed import Feed
from streamkit.channels._hub import Hub
from streamkit.channels._options import Options
from streamkit.channels._outbox import SHARE, Hidden, Note, Place
from streamkit.channels._position import Position
from streamkit.errors import StreamCutError
from streamkit.sse import Event

if TYPE_CHECKING:
    from streamkit.channels._channels import Channels


class Subscription:
    """An async iterator of Events, made by `Channels.subscribe`; read once, on one event loop.

    Iterating it raises StreamCutError where the reader was so slow that it was disconnected, and RuntimeError where the
    log has failed with anything else than LogUnavailableError.
    """

    # A worker may hold thousands, and a publish reads each.
    __slots__ = (
        "__weakref__",
        "_channels",
        "_claimed",
        "_drops",
        "_error",
        "_feed",
        "_hidden",
        "_hub",
        "_items",
        "_outbox",
        "_overflowed",
        "_reading",
        "_reminder",
        "_single",
        "_visible",
        "_waiter",
    )

    def __init__(
        self, channels: Channels, positions: dict[str, Position | None], options: Options, *, unknown: bool
    ) -> None:
        self._hub: Hub | None = None
        self._channels = channels
        self._visible = options.visible
        self._drops = options.overflow == "drop_oldest"
        self._single = len(positions) == 1
        self._feed = Feed(options, positions, unknown=unknown)
        self._outbox = self._feed.outbox
        self._items = self._outbox.items
        self._hidden = Hidden(channels.log)
        self._reminder: Timer | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._claimed = self._reading = self._overflowed = False
        self._error: Exception | None = None

    def __aiter__(self) -> Subscription:
        if self._claimed:
            raise RuntimeError("a subscription is read once: subscribe again for each stream")
        self._claimed = True
        return self

    async def __anext__(self) -> Event:
        if self._reading:
            raise RuntimeError("a subscription has one reader: subscribe again for each stream")
        self._reading = True
        try:
            hub, feed, items = self._hub or self._enter(), self._feed, self._items
            hub.waiting.add(self)
            while True:
                while items:
                    event = self._next() if self._visible is None else await self._next_visible()
                    if event is not None:
                        return event
                if feed.ended:
                    self._say_end()
                # Each event to each reader comes here: a call more is felt where one goes to thousands.
                if (feed.live and not feed.owes_cursor) or not (await feed.advance() or items or feed.ended):
                    self._waiter = hub.loop.create_future()
                    await self._waiter
        except Exception:
            self.end()
            self._outbox.clear()
            raise
        finally:
            self._reading = False
            if self._hub is not None:
                self._hub.waiting.discard(self)

    async def aclose(self) -> None:
        """Leave the channels."""
        self.end()
        self._outbox.clear()

    def end(self) -> None:
        """Leave the channels; whoever iterates finds the end behind what is still queued. On its event loop."""
        self._feed.leave()
        self._id_is_sent()
        self._wake()

    def __del__(self) -> None:
        if self._hub is not None and self._feed.joined:  # thrown away by whichever thread collects garbage
            call_threadsafe(self._hub.loop, self._hub.sweep)

    def _enter(self) -> Hub:
        if self._feed.ended:
            self._say_end()
        self._hub = self._channels.hub()
        self._feed.join(self._hub, self)
        return self._hub

    def _say_end(self) -> NoReturn:
        if self._error is not None:
            raise RuntimeError("a subscription ends because its log has failed") from self._error
        if self._overflowed:
            raise StreamCutError("slow_client")
        raise StopAsyncIteration

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():  # its reader may have been cancelled
            waiter.set_result(None)

    # -- what the tails call -------------------------------------------------------------------------------------

    def put(self, place: Place, entry: Entry) -> None:
        """Queue an entry; where that is too much for the reader, do what was asked for."""
        if not self._outbox.put(place, entry):
            if self._drops:
                self._outbox.drop_oldest()
            else:
                self._overflowed = True
                self._outbox.clear()
                self.end()
        if self._waiter is not None:
            self._wake()

    def look(self) -> None:
        """Look at the places and their tails anew."""
        self._feed.live = False
        self._wake()

    def fail(self, error: Exception) -> None:
        """End with an error, behind what is still queued."""
        self._error = error
        self.end()

    # -- what is sent next ---------------------------------------------------------------------------------------

    def _next(self) -> Event:
        """Return the next event of the outbox."""
        item = self._items[0]
        if isinstance(item, Note):
            self._outbox.pop()
            return self._note(item)
        place, entry = item
        if place.dropped:
            place.dropped = False
            return self._note(self._feed.overflow_note(place, entry))
        self._outbox.pop()
        place.sent = entry.position
        event = entry.event(place.checksum)
        return event if self._single else event.with_id(self._feed.id())

    async def _next_visible(self) -> Event | None:
        """Return the next event of the outbox; None for one that this reader may not see."""
        item = self._items[0]
        if isinstance(item, Note) or item[0].dropped:
            return self._next()
        place, entry = item
        visible = self._visible(entry.event(place.checksum))  # type: ignore[misc]
        if inspect.isawaitable(visible):
            visible = await visible
            if not self._items or self._items[0] is not item:
                return None  # it was dropped meanwhile
        if visible:
            self._id_is_sent()
            return self._next()
        self._outbox.pop()
        place.sent = entry.position
        self._hide(entry)
        return self._note(Note(None, {}, "cursor")) if self._feed.owes_cursor else None

    def _hide(self, entry: Entry) -> None:
        """Count an entry that is not shown, and have the client's id move before the log overtakes it."""
        log = self._channels.log
        if self._hidden.add(entry):
            self._feed.owes_cursor = True
        elif self._hidden.count == 1 and log.max_age is not None and self._hub is not None:
            remind = WeakMethod(self._remind)
            self._reminder = self._hub.clock.call_later(
                self._hub.loop, log.max_age / SHARE, lambda: (call := remind()) and call()
            )

    def _remind(self) -> None:
        self._feed.owes_cursor = True
        self._wake()

    def _id_is_sent(self) -> None:
        self._feed.owes_cursor = False
        self._hidden.clear()
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None

    def _note(self, note: Note) -> Event:
        if note.place is not None and note.position is not None:
            note.place.sent = note.position
        id = self._feed.id() if note.has_id else None
        if id is not None:
            self._id_is_sent()
        return Event(note.data, event=note.event, id=id)
