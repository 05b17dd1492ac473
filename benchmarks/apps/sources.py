"""What the views stream: the same generators for every framework, over whatever its views yield for a text.

`write` turns a text into such an item. Where the text is always the same it is written once, so that a framework whose
views format their own frames pays nothing for that: to the good of the peers and of the floor. Every text holds one
`~`, by which readers count.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

TEXT = "hello~"
INTERVAL = 1 / 50
"""Seconds between two tokens of a paced stream."""

KEEPALIVE = float(os.environ.get("BENCH_KEEPALIVE", "15"))
"""Seconds, for every framework that can be told."""

queues: set[asyncio.Queue[str]] = set()


def publish(number: int) -> None:
    """Give an event to every stream of `fan_out`."""
    for queue in queues:
        queue.put_nowait(f"{number}~")


def stamp(moment: float) -> str:
    """Write a moment of the clock that all processes of a machine share; right after a `~`."""
    return f"~{moment:.6f} "


def of(write: Callable[[str], Any]) -> dict[str, Callable[..., Any]]:
    """Return the sources by name; each takes `n`, which most of them do not need."""
    return {**_bursts(write), **_waiting(write), **_blocking(write)}


def _bursts(write: Callable[[str], Any]) -> dict[str, Callable[..., Any]]:
    item = write(TEXT)

    async def burst(n: int = 0) -> AsyncIterator[Any]:
        for _ in range(n):
            yield item

    def burst_sync(n: int = 0) -> Iterator[Any]:
        for _ in range(n):
            yield item

    async def spin(n: int = 0) -> AsyncIterator[Any]:
        while True:
            yield item

    async def sized(n: int = 0) -> AsyncIterator[Any]:
        """Yield about 16 MB in items of `n` bytes, or 20,000 of them where that is less."""
        text = write("x" * (n - 1) + "~")
        for _ in range(max(1, min(20_000, 2**24 // n))):
            yield text

    return {"burst": burst, "burst_sync": burst_sync, "spin": spin, "sized": sized}


def _waiting(write: Callable[[str], Any]) -> dict[str, Callable[..., Any]]:
    async def paced(n: int = 0) -> AsyncIterator[Any]:
        """Yield every `n` ms, or 50 times a second."""
        interval = n / 1000 or INTERVAL
        # Streams that are opened one after the other keep their distance: no two are due at the same moment.
        due = time.monotonic()
        while True:
            due += interval
            await asyncio.sleep(due - time.monotonic())
            yield write(stamp(due))

    async def idle(n: int = 0) -> AsyncIterator[Any]:
        yield write(TEXT)
        await asyncio.Event().wait()

    async def fan_out(n: int = 0) -> AsyncIterator[Any]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        queues.add(queue)
        try:
            yield write(TEXT)
            while True:
                yield write(await queue.get())
        finally:
            queues.discard(queue)

    return {"paced": paced, "idle": idle, "fan_out": fan_out}


def _blocking(write: Callable[[str], Any]) -> dict[str, Callable[..., Any]]:
    async def blocking(n: int = 0) -> AsyncIterator[Any]:
        for _ in range(n):
            time.sleep(0.05)  # noqa: ASYNC251 - what is measured
            yield write(stamp(time.monotonic()))

    def held(n: int = 0) -> Iterator[Any]:
        while True:
            yield write(TEXT)
            time.sleep(1)

    return {"blocking": blocking, "held": held}
