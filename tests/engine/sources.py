"""Sources that note what happens to them, for more than one file of tests."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from streamkit import StreamPolicy


class Gated:
    """A source that blocks its thread until it is let go."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.seen: list[str] = []

    def items(self) -> Iterator[str]:
        """Yield one item, block, yield another."""
        try:
            yield "a"
            self.seen.append("blocked")
            self.gate.wait(10)
            yield "b"
            self.seen.append("pulled")
        except BaseException as exc:
            self.seen.append(type(exc).__name__)
            raise
        finally:
            self.seen.append("closed")


POLICY = StreamPolicy(retry=5)


class Source:
    """Two items, sync or async; notes how far it got."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def sync(self) -> Iterator[str]:
        """Yield two items."""
        try:
            for item in "ab":
                self.seen.append(item)
                yield item
        finally:
            self.seen.append("closed")

    async def asynchronous(self) -> AsyncIterator[str]:
        """Yield two items."""
        try:
            for item in "ab":
                self.seen.append(item)
                yield item
        finally:
            await asyncio.sleep(0)
            self.seen.append("closed")


MODES = pytest.mark.parametrize("mode", ["sync", "asynchronous"])
