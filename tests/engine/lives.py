"""Sources, notes and readers for the tests of a stream's life."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from streamkit import Event, EventDecoder, StreamStats
from tests.engine.drive import LIMIT


class Ends:
    """What `on_close` was told, and what had been noted before it."""

    def __init__(self) -> None:
        self.told: list[tuple[str, StreamStats]] = []
        self.seen: list[str] = []

    def __call__(self, reason: str, stats: StreamStats) -> None:
        """Be an `on_close`."""
        self.told.append((reason, stats))
        self.seen.append("on_close")

    @property
    def reasons(self) -> list[str]:
        """The reasons alone."""
        return [reason for reason, _ in self.told]


class Fed:
    """A source that yields what a test puts in, and ends on `finish`; notes in `seen` how it was closed."""

    def __init__(self, seen: list[str] | None = None) -> None:
        self.seen: list[str] = [] if seen is None else seen
        self._items: list[object] = []
        self._changed = threading.Condition()
        self._done = False
        self.waiting = 0

    def put(self, *items: object) -> None:
        """Have items yielded."""
        with self._changed:
            self._items.extend(items)
            self._changed.notify_all()

    def finish(self) -> None:
        """Have the source end when everything was yielded."""
        with self._changed:
            self._done = True
            self._changed.notify_all()

    def sync(self) -> Iterator[object]:
        """Block the thread until there is an item."""
        try:
            while True:
                with self._changed:
                    self.waiting += 1
                    assert self._changed.wait_for(lambda: self._items or self._done, 10)
                    self.waiting -= 1
                    if not self._items:
                        return
                    item = self._items.pop(0)
                yield item
        except BaseException as exc:
            self.seen.append(type(exc).__name__)
            raise
        finally:
            self.seen.append("closed")

    async def asynchronous(self) -> AsyncIterator[object]:
        """Await until there is an item; take a turn of the loop to close."""
        try:
            while True:
                while not (self._items or self._done):  # noqa: ASYNC110 - other threads put too
                    await asyncio.sleep(0.001)
                if not self._items:
                    return
                yield self._items.pop(0)
        except BaseException as exc:
            self.seen.append(type(exc).__name__)
            raise
        finally:
            await asyncio.sleep(0)
            self.seen.append("closed")


def wait_for(holds: Callable[[], Any]) -> None:
    """Wait until another thread has made something true."""
    until = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.001)


async def eventually(holds: Callable[[], Any]) -> None:
    """Do what `wait_for` does while the loop goes on."""
    while not holds():  # noqa: ASYNC110 - bounded by `run`
        await asyncio.sleep(0.001)


def events(body: bytes) -> tuple[list[Event], int | None]:
    """Return what a client dispatches, and after how many ms it comes back."""
    decoder = EventDecoder()
    found = decoder.feed(body)
    return found, decoder.retry


class Burst:
    """Twenty events in a row, then silence; counts how many were pulled."""

    def __init__(self) -> None:
        self.pulled = 0
        self.gate = threading.Event()

    def sync(self) -> Iterator[Event]:
        """Yield them as fast as they are taken."""
        for number in range(20):
            self.pulled += 1
            yield Event(str(number), id=number)
        self.pulled += 1
        self.gate.wait(10)

    async def asynchronous(self) -> AsyncIterator[Event]:
        """Suspend after each."""
        for event in self.sync():
            yield event
            await asyncio.sleep(0)
            if event.data == "19":
                self.pulled += 1
                await asyncio.Event().wait()


NUMBERS = [str(number) for number in range(20)]
