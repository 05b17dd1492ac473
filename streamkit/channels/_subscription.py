"""One reader of one or more channels: replay, then live, with nothing missed, nothing twice, and every gap told.

All that is said of a channel is an Event: what was published, with the position as its id; `gap` where events are
missing; `cursor` where an id must move without anything to show; `caught-up`, if asked for. None of these is a frame
without data, which some clients would take for an empty event.

The reader may be cancelled wherever it waits, and may then ask again: nothing leaves the outbox before what was awaited
is there.
"""

from __future__ import annotations

import inspect
from typing import NoReturn
from weakref import WeakMethod

from streamkit._engine.clock import Timer
from streamkit._engine.handoff import call_threadsafe
from streamkit.channels._entry import Entry
from streamkit.channels._feed import Feed
from streamkit.channels._hub import Hub, Hubs
from streamkit.channels._options import Options
from streamkit.channels._outbox import SHARE, Hidden, Note
from streamkit.channels._position import Position
from streamkit.errors import StreamCutError
from streamkit.sse import Event


class Subscription:
    """An async iterator of Events, made by `Channels.subscribe`; read once, on one event loop.

    Iterating it raises StreamCutError where the reader was so slow that it was disconnected, and RuntimeError where the
    log has failed with anything else than LogUnavailableError.
    """

    # A worker may hold thousands, and a publish reads each.
    __slots__ = (
        "__weakref__",
        "_claimed",
        "_feed",
        "_hidden",
        "_hubs",
        "_items",
        "_outbox",
        "_reading",
        "_reminder",
        "_visible",
    )

    def __init__(self, hubs: Hubs, positions: dict[str, Position | None], options: Options, *, unknown: bool) -> None:
        self._hubs = hubs
        self._visible = options.visible
        self._feed = Feed(options, positions, unknown=unknown)
        self._outbox = self._feed.outbox
        self._items = self._outbox.items
        self._hidden = Hidden(hubs.log)
        self._reminder: Timer | None = None
        self._claimed = self._reading = False

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
            feed, items = self._feed, self._items
            hub = feed.hub or self._enter()
            while True:
                while items:
                    event = self._next() if self._visible is None else await self._next_visible()
                    if event is not None:
                        return event
                if feed.ended:
                    self._say_end()
                # Each event to each reader comes here: a call more is felt where one goes to thousands.
                if (feed.live and not feed.owes_cursor) or not (await feed.advance() or items or feed.ended):
                    feed.waiter = hub.loop.create_future()
                    await feed.waiter
        except Exception:
            self._leave()
            raise
        finally:
            self._reading = False

    async def aclose(self) -> None:
        """Leave the channels; what was not read is dropped. On the event loop that it is read on."""
        self._leave()

    def __del__(self) -> None:
        hub = self._feed.hub
        if hub is not None and self._feed.joined:  # thrown away, perhaps by a thread that collects garbage
            call_threadsafe(hub.loop, self._feed.end)

    def _enter(self) -> Hub:
        if self._feed.ended:
            self._say_end()
        return self._feed.join(self._hubs.here())

    def _leave(self) -> None:
        self._feed.end()
        self._outbox.clear()
        self._id_is_sent()

    def _say_end(self) -> NoReturn:
        if self._feed.error is not None:
            raise RuntimeError("a subscription ends because its log has failed") from self._feed.error
        if self._feed.overflowed:
            raise StreamCutError("slow_client")
        raise StopAsyncIteration

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
        self._items.popleft()
        self._outbox.size -= entry.size
        place.sent = entry.position
        event = entry.shared or entry.event(place.checksum)
        return event if self._feed.single else event.with_id(self._feed.id())

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
        log, hub = self._hubs.log, self._feed.hub
        if self._hidden.add(entry):
            self._feed.owes_cursor = True
        elif self._hidden.count == 1 and log.max_age is not None and hub is not None:
            remind = WeakMethod(self._remind)
            self._reminder = hub.clock.call_later(hub.loop, log.max_age / SHARE, lambda: (call := remind()) and call())

    def _remind(self) -> None:
        self._feed.owes_cursor = True
        self._feed.wake()

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
