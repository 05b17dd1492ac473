"""Bursts written by hand for these benchmarks, which keep of streamkit's promises those that cost time at each item.

They show how near to a floor a library can come that sends no item unseen. `encoded` keeps none: it is a view that
encodes its dicts, as a view of the floor or of Starlette has to, where streamkit does that. `batched` and `gathered`
are for ASGI and `kept` for WSGI; none has a keepalive, a limit for slow clients, or anything that makes it a library.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import copy_context
from itertools import repeat
from time import perf_counter
from typing import Any

import orjson

from benchmarks.apps.sources import TEXT

DICT = {"id": 17, "delta": TEXT, "done": False}
AT_ONCE, BUFFER = 0.0005, 64 * 1024
"""Seconds after which, and bytes with which, a batch leaves: those of streamkit."""


async def encoded(n: int = 0) -> AsyncIterator[bytes]:
    """Yield a line for each dict, encoded as it comes."""
    for _ in range(n):
        yield orjson.dumps(DICT) + b"\n"


async def dicts(n: int = 0) -> AsyncIterator[Any]:
    """Yield what a view of streamkit does."""
    for _ in range(n):
        yield DICT


async def batched(items: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    """Yield what is ready together, at once where an item was slow, and give the loop a turn after each batch.

    Raises:
        ValueError: A line has to be looked at more closely: for a NaN that became null, a line separator, a line break.
    """
    frames, size, due = list[bytes](), 0, perf_counter() + AT_ONCE
    async for item in items:
        line = orjson.dumps(item)
        if b"u"[0] in line or not line.isascii() or b"\n"[0] in line or b"\r"[0] in line:
            raise ValueError(line)
        frames.append(line + b"\n")
        size += len(line)
        if size >= BUFFER or perf_counter() > due:
            yield b"".join(frames)
            await asyncio.sleep(0)
            frames.clear()
            size, due = 0, perf_counter() + AT_ONCE
    yield b"".join(frames)


class Flags:
    """What is known of a stream while it runs: whether it is to end, and whether its batch has begun in this turn."""

    __slots__ = ("gathering", "over")

    def __init__(self) -> None:
        self.over = self.gathering = False

    def suspended(self) -> None:
        """Be called when the source waits, which is when a batch has to leave."""
        self.gathering = False


def line(item: Any) -> bytes:
    """Write what may be a type that only the app knows.

    Raises:
        ValueError: As in `batched`; or the item is not JSON.
    """
    try:
        found = orjson.dumps(item, str, orjson.OPT_PASSTHROUGH_SUBCLASS)
    except TypeError as exc:
        raise ValueError(item) from exc
    if b"u"[0] in found or not found.isascii() or b"\n"[0] in found or b"\r"[0] in found:
        raise ValueError(found)
    return found + b"\n"


async def gathered(items: AsyncIterator[Any], encode: Callable[[Any], bytes], flags: Flags) -> AsyncIterator[bytes]:
    """Do as `batched`, by whatever encoder; may be ended before any item, and knows when its source waits."""
    frames, size, due = list[bytes](), 0, perf_counter() + AT_ONCE
    loop = asyncio.get_running_loop()
    async for item in items:
        if flags.over:
            return
        frame = encode(item)
        frames.append(frame)
        size += len(frame)
        if perf_counter() > due or size >= BUFFER:
            yield b"".join(frames)
            await asyncio.sleep(0)
            frames.clear()
            size, due = 0, perf_counter() + AT_ONCE
        elif not flags.gathering:
            flags.gathering = True
            loop.call_soon(flags.suspended)
    yield b"".join(frames)


LINES: dict[str, Callable[..., AsyncIterator[bytes]]] = {
    "encoded": encoded,
    "batched": lambda n: batched(dicts(n)),
    "gathered": lambda n: gathered(dicts(n), line, Flags()),
}


class Figures:
    """What is known of a stream while it runs, and whether it is to end."""

    __slots__ = ("bytes", "frames", "over", "slowest")

    def __init__(self) -> None:
        self.frames = self.bytes = 0
        self.slowest = 0.0
        self.over = False


def kept(texts: Iterator[str], figures: Figures) -> Iterator[bytes]:
    """Yield an event for each text, in the Context of the view: counted, timed, and ended before its time on demand.

    Raises:
        ValueError: A text has a line break, or is to be encoded with more care.
    """
    return map(copy_context().run, repeat(next), repeat(_kept(texts, figures)))


def _kept(texts: Iterator[str], figures: Figures) -> Iterator[bytes]:
    for text in texts:
        if "\n" in text or "\r" in text or not text.isascii():
            raise ValueError(text)
        frame = f"data: {text}\n\n".encode()
        figures.frames += 1
        begun = perf_counter()
        yield frame
        taken = perf_counter() - begun
        figures.bytes += len(frame)
        if taken > figures.slowest:  # noqa: PLR1730 - max() takes three times as long
            figures.slowest = taken
        if figures.over:
            return
