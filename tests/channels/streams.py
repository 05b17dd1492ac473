"""What the tests of detached streams share: a log that can be down, and sources that say what became of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from streamkit import Pipe
from streamkit.channels import Detached, MemoryLog
from streamkit.channels._history import View
from streamkit.channels._log import Appended
from streamkit.channels._position import Position
from streamkit.errors import LogUnavailableError
from tests.engine.fake_clock import FakeClock

KINDS = pytest.mark.parametrize("kind", ["async", "sync"])

LOST = ("lost", {"error": "The server that wrote this answer has gone."})

Read = list[tuple[str | None, Any]]


class FlakyLog(MemoryLog):
    """A log that is down when the test says so, or stores without a reply.

    Attributes:
        down: Whether it answers nobody.
        silent: How many of the next appends are stored, and answered by an error.
        calls: The operations that were asked for.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.down = False
        self.silent = 0
        self.calls: list[str] = []

    def _asked(self, operation: str) -> None:
        self.calls.append(operation)
        if self.down:
            raise LogUnavailableError("FlakyLog", operation, "it is down")

    def _append(self, channel: str, payload: bytes, known: Position | None, **options: Any) -> Appended:
        self._asked("append")
        appended = super()._append(channel, payload, known, **options)
        if self.silent:
            self.silent -= 1
            raise LogUnavailableError("FlakyLog", "append", "the reply was lost")
        return appended

    def _view(self, channel: str, offset: int, count: int, known: Position | None) -> View:
        self._asked("view")
        return super()._view(channel, offset, count, known)

    def exists(self, channel: str) -> bool:
        """See `Log.exists`."""
        self._asked("exists")
        return super().exists(channel)

    def hold(self, name: str, owner: str, seconds: float) -> bool:
        """See `Log.hold`."""
        self._asked("hold")
        return super().hold(name, owner, seconds)

    def lease(self, name: str) -> str | None:
        """Return who has a lease, also while the log is down."""
        return super().holder(name)

    def holder(self, name: str) -> str | None:
        """See `Log.holder`."""
        self._asked("holder")
        return super().holder(name)

    def release(self, name: str, owner: str) -> None:
        """See `Log.release`."""
        self._asked("release")
        super().release(name, owner)


class Fed:
    """A source that a test feeds, in either kind.

    Attributes:
        pipe: What the test puts in.
        begun: Whether it was iterated.
        closed: Set when its `finally` has run.
        error: What it was ended with, if not by its own end.
    """

    def __init__(self) -> None:
        self.pipe = Pipe()
        self.begun = False
        self.closed = threading.Event()
        self.error: BaseException | None = None

    async def items(self) -> AsyncIterator[Any]:
        """Yield the items; await in the cleanup."""
        self.begun = True
        try:
            async for item in self.pipe:
                yield item
        except BaseException as exc:
            self.error = exc
            raise
        finally:
            await asyncio.sleep(0)
            self.closed.set()

    def items_sync(self) -> Iterator[Any]:
        """Yield the items, and wait for them in the thread."""
        self.begun = True
        try:
            yield from self.pipe
        except BaseException as exc:
            self.error = exc
            raise
        finally:
            self.closed.set()

    def source(self, kind: str) -> Any:
        """Return the source of a kind, "async" or "sync"."""
        return self.items() if kind == "async" else self.items_sync()


def clocked(**options: Any) -> tuple[FakeClock, FlakyLog]:
    """Return a clock, and a log that goes by it."""
    clock = FakeClock()
    return clock, FlakyLog(now=clock.now, **options)


async def read(detached: Detached, key: str, after: str | None = None) -> Read:
    """Read a stream to its end: types and data."""
    return [(event.event, event.data) async for event in detached.attach(key, after)]


async def reading(detached: Detached, key: str, into: Read, after: str | None = None) -> None:
    """Read a stream into a list as it comes."""
    async for event in detached.attach(key, after):
        into.append((event.event, event.data))


async def until(ready: Callable[[], bool], within: float = 20.0) -> None:
    """Wait for what a thread is about to do."""
    async with asyncio.timeout(within):
        while not ready():  # noqa: ASYNC110 - a thread sets no event of ours
            await asyncio.sleep(0.005)


class Pair:
    """Two processes that share a log: one that produces, one that reads."""

    def __init__(self, **options: Any) -> None:
        self.clock, self.log = clocked(**options)
        self.producing = Detached(self.log, lease=15, clock=self.clock)
        self.reading = Detached(self.log, lease=15, clock=self.clock)
