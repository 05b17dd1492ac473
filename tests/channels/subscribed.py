"""What the tests of subscriptions share: logs that fail when told to, and readers with a limit."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from streamkit import Event
from streamkit.channels import Channels, MemoryLog, Subscription
from streamkit.channels._history import Page, View
from streamkit.channels._log import PAGE, Appended
from streamkit.channels._position import Position
from streamkit.errors import LogUnavailableError


class TroubledLog(MemoryLog):
    """A log in memory that is down or broken when a test says so, and counts how often it was asked.

    Attributes:
        down: Whether no call is answered.
        broken: What each read raises.
        reads: How many pages were asked for.
        views: How often what is stored was looked at.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.down = False
        self.broken: BaseException | None = None
        self.reads = self.views = 0

    def page(self, channel: str, after: Position | None, count: int = PAGE) -> Page:
        """Read, or fail."""
        self.reads += 1
        if self.down:
            raise LogUnavailableError("TroubledLog()", "read", "it is down")
        if self.broken is not None:
            raise self.broken
        return super().page(channel, after, count)

    def append(self, channel: str, payload: bytes, **options: Any) -> Appended:
        """Append, or fail."""
        if self.down:
            raise LogUnavailableError("TroubledLog()", "append", "it is down")
        return super().append(channel, payload, **options)

    def _view(self, channel: str, offset: int, count: int, known: Position | None) -> View:
        self.views += 1
        return super()._view(channel, offset, count, known)

    @property
    def watched(self) -> list[str]:
        """The channels that somebody watches."""
        return self._watched()


class WaitingLog(TroubledLog):
    """A log whose calls are made in threads, and whose reads wait while `gate` is closed.

    Attributes:
        waiting: How many reads have come to the gate.
    """

    blocking = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = 0

    def page(self, channel: str, after: Position | None, count: int = PAGE) -> Page:
        """Read, then wait: what is returned may be old by then."""
        page = super().page(channel, after, count)
        self.waiting += 1
        assert self.gate.wait(5)
        return page


async def take(subscription: Subscription, count: int) -> list[Event]:
    """Return the next events."""
    async with asyncio.timeout(4):
        return [await anext(subscription) for _ in range(count)]


async def rest(subscription: Subscription) -> list[Event]:
    """Return the events up to the end."""
    async with asyncio.timeout(4):
        return [event async for event in subscription]


async def opened(channels: Channels, *names: str, **options: Any) -> Subscription:
    """Return a subscription that is live, and whose cursor event was read."""
    subscription = channels.subscribe(*names, **options)
    first = (await take(subscription, 1))[0]
    assert first.event == "cursor", first
    reading = asyncio.ensure_future(anext(subscription))
    for _ in range(5):
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])
    return subscription


def told(events: list[Event]) -> list[Any]:
    """Return what is said: the data of what was published, and the type of what the subscription says itself."""
    return [
        event.event if event.event in ("gap", "cursor", "caught-up", "snapshot") else event.data for event in events
    ]


async def publish(channels: Channels, channel: str, *items: object) -> list[str]:
    """Publish; return the ids."""
    return [await channels.publish(channel, item) for item in items]


async def ten(log: MemoryLog | None = None) -> tuple[Channels, dict[int, str]]:
    """Return channels in which 1 to 10 were published on "orders", and 6 to 10 are kept; and their ids."""
    channels = Channels(log or MemoryLog(max_events=5))
    ids = await publish(channels, "orders", *range(1, 11))
    return channels, dict(enumerate(ids, 1))
