"""The face of the package: publish to channels, and subscribe to them from any view.

What a user gives is checked here, before anything is asked of a log. Nothing here waits for one on an event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from streamkit._engine.clock import SYSTEM, Clock
from streamkit._engine.register import logger
from streamkit._engine.threads import running_loop
from streamkit._json import Dumps
from streamkit.channels._entry import write_payload
from streamkit.channels._hub import Hubs
from streamkit.channels._log import Log, check_log
from streamkit.channels._options import OnGap, Options, Visible
from streamkit.channels._position import (
    MAX_CHANNELS,
    Position,
    check_channel,
    checksum,
    read_positions,
    text_of,
    vector_text,
)
from streamkit.channels._subscription import Subscription
from streamkit.channels._workers import Calls

BUFFER_SIZE = 256 * 1024
"""Bytes that may wait for a slow reader."""

MAX_KEY = 255
"""Characters of an idempotency key."""


class Channels:
    """Publish on channels and subscribe to them; one object for the whole app.

        channels = Channels(SQLiteLog("events.db"))

        await channels.publish("orders", {"id": 7, "state": "paid"})
        return EventStreamResponse(channels.subscribe("orders", after=last_event_id(request)))

    It may be made when a module is imported, before or after a fork. Subscriptions work in every adapter: under ASGI on
    the loop of the server, under WSGI on the one that streamkit keeps.

    Args:
        log: What keeps the events: a `MemoryLog`, `SQLiteLog` or `RedisLog`.
        dumps: Your own JSON encoder for what is published, returning str or bytes.
        clock: What waits go by; for tests.

    Raises:
        TypeError: `log` is no log.
    """

    def __init__(self, log: Log, *, dumps: Dumps | None = None, clock: Clock = SYSTEM) -> None:
        check_log("Channels", log)
        self.log = log
        self._dumps = dumps
        self._calls = Calls(log)
        self._hubs = Hubs(log, clock)

    # -- publishing ----------------------------------------------------------------------------------------------

    async def publish(self, channel: str, item: object, *, key: str | None = None) -> str:
        """Store an item and send it to everybody who subscribes to the channel, in every process that shares the log.

        Args:
            channel: Any text of 1 to 255 bytes in UTF-8.
            item: Text, which is sent as text; any other value, which is sent as JSON; or an Event that has only data
                and a type. It is encoded once, here.
            key: An idempotency key, up to 255 characters: an item that is published again with the same key, as after a
                reply that was lost, is stored once.

        Returns:
            The id that the event has; of the first, where the key was known.

        Raises:
            ValueError: The channel's name or the key cannot be used.
            InvalidEventError: The event has an id, which the log gives, or a field that belongs to one response.
            EncodeError: The item has no form in JSON.
            LogFullError: The item alone is larger than the log's `max_bytes`.
            SealedError: The channel takes nothing more.
            LogUnavailableError: The log did not answer within its timeout; the item may have been stored.
        """
        id = await self._calls.run(self._store(channel, item, key), "append")
        if not self.log.blocking:
            await asyncio.sleep(0)  # one who publishes without a pause lets its readers read
        return id

    def publish_sync(self, channel: str, item: object, *, key: str | None = None) -> str:
        """Do what `publish` does, from sync code: a view, a script, a task queue, Django's `transaction.on_commit`.

        Raises:
            RuntimeError: This thread runs an event loop, which must not wait: await `publish` there.
        """
        refuse_loop("publish_sync", "publish(…)")
        return self._store(channel, item, key)()

    def _store(self, channel: str, item: object, key: str | None) -> Callable[[], str]:
        name = check_channel(channel)
        if key is not None and not (isinstance(key, str) and 0 < len(key) <= MAX_KEY and _is_unicode(key)):
            raise ValueError(f"key must be a str of 1 to {MAX_KEY} characters, not {key!r:.300}")
        payload = write_payload(item, self._dumps)
        return lambda: text_of(checksum(name), self.log.append(name, payload, key=key).position)

    # -- subscribing ---------------------------------------------------------------------------------------------

    def subscribe(
        self,
        *channels: str,
        after: str | None = None,
        start: Literal["live", "oldest"] = "live",
        on_gap: OnGap = "oldest",
        overflow: Literal["disconnect", "drop_oldest"] = "disconnect",
        buffer_size: int = BUFFER_SIZE,
        visible: Visible | None = None,
        caught_up: bool = False,
    ) -> Subscription:
        """Return an async iterator of Events to give to a response: first what the client missed, then what comes.

        Resume is exact, or it says so: where events after the client's id are missing, the first event has the type
        `gap` and the data `{"requested": id, "oldest": id, "reason": "evicted" | "reset" | "unknown"}`.

        Args:
            channels: The names of 1 to 100 channels. The view names them; an id never grants access to one. What is
                sent does not say which of several it is of: publish Events with a type.
            after: The id that the client gave, `last_event_id(request)` or a `position()`; anything else is told as a
                gap. None or "" for a client that begins.
            start: Where a client begins: `"live"`, with what is published from now on; its first event is then of the
                type `cursor`, so that it can come back to this very point. `"oldest"`: with all that the log has.
            on_gap: What follows a gap. `"oldest"`: all that the log has and the client has not seen. `"live"`: what is
                published from now on. A function, plain or async, of a `Gap`: what it returns is sent as an event of
                the type `snapshot` (an Event keeps its own type), then what was published since it was called.
            overflow: What happens to a reader for whom more than `buffer_size` bytes wait. `"disconnect"`: it is cut
                off, and comes back for the rest. `"drop_oldest"`: it misses the oldest of them, and is told by a gap
                with the reason `overflow`.
            buffer_size: Bytes that may wait for a slow reader, besides those of the response itself.
            visible: Given each Event, live or replayed, just before it is sent; whether this client may see it. Plain
                or async. What it raises ends the stream.
            caught_up: Send an event of the type `caught-up` when all that was missed has been sent.

        Raises:
            TypeError: A name is not text, or an option is of the wrong kind.
            ValueError: A name cannot be used, there are too many, or an option is none of those above.
        """
        names = _named(channels, "subscribe")
        options = Options(after, start, on_gap, overflow, buffer_size, visible, caught_up)
        positions = read_positions(after, names) if after else {}
        if positions is None:
            logger.warning("A client asked for what follows %.200r, which is no id of %.200r", after, channels)
        places: dict[str, Position | None] = {name: (positions or {}).get(name) for name in names.values()}
        return Subscription(self._hubs, places, options, unknown=positions is None)

    async def position(self, *channels: str) -> str:
        """Return the id of now: rendered into a page and given back as `?last_event_id=`, it lets nothing be missed.

        Read it before what the page shows: an event in between comes twice, and none is missing.

        Raises:
            ValueError: As `subscribe`.
            LogUnavailableError: The log did not answer within its timeout.
        """
        return await self._calls.run(self._position(channels), "read")

    def position_sync(self, *channels: str) -> str:
        """Do what `position` does, from sync code; RuntimeError on a running event loop."""
        refuse_loop("position_sync", "position(…)")
        return self._position(channels)()

    def _position(self, channels: tuple[str, ...]) -> Callable[[], str]:
        names = _named(channels, "position")
        return lambda: vector_text(text_of(sum_, self.log.page(name, None, 0).head) for sum_, name in names.items())

    def subscribers(self, channel: str) -> int:
        """Return how many subscriptions to a channel are being read in this process."""
        return self._hubs.places(check_channel(channel))

    def close(self) -> None:
        """End all subscriptions of this process and let go of the log's connections; from any thread.

        Streams end cleanly behind what was sent to them. A later call opens anew.
        """
        self._hubs.end()
        self.log.close()


def refuse_loop(name: str, instead: str) -> None:
    """Raise RuntimeError where a sync method is called in the thread of an event loop."""
    if running_loop() is not None:
        raise RuntimeError(f"{name}() would block the event loop of this thread: await {instead} instead")


def _named(channels: tuple[str, ...], asked: str) -> dict[str, str]:
    """Return the names of channels by what stands for them in an id.

    Raises:
        TypeError: One is not text.
        ValueError: One cannot be used, or there are too many.
    """
    names = {checksum(name): name for name in map(check_channel, channels)}
    if not 1 <= len(names) <= MAX_CHANNELS:
        raise ValueError(f"{asked}() takes the names of 1 to {MAX_CHANNELS} channels, not {channels!r:.300}")
    return names


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)
