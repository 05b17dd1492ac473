"""A source that a test feeds item by item, and a server in process that takes any framework's application."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

from streamkit import Pipe
from tests.rig.asgi import ASGIHost


class Watched:
    """Yields what is put into its pipe, and says when it was closed.

    Attributes:
        pipe: What the test puts in; from any thread.
        closed: Set when the source's `finally` has run, awaits included.
        ends: How many times that happened.
    """

    def __init__(self) -> None:
        self.pipe = Pipe()
        self.closed = threading.Event()
        self.ends = 0

    async def items(self) -> AsyncIterator[Any]:
        """Yield the items, and await in the cleanup."""
        try:
            async for item in self.pipe:
                yield item
        finally:
            await asyncio.sleep(0)
            self.close()

    def items_sync(self) -> Iterator[Any]:
        """Yield the items."""
        try:
            yield from self.pipe
        finally:
            self.close()

    def close(self) -> None:
        """Take note that the source has ended."""
        self.ends += 1
        self.closed.set()


def host(app: object, *, raise_after_leave: bool = False) -> ASGIHost:
    """Serve an application whose framework has ASGI types of its own."""
    return ASGIHost(cast(Any, app), raise_after_leave=raise_after_leave)
