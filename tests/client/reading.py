"""Read by either reader in the same way, without a pause that takes time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal

from streamkit.client import AsyncReader, Reader, Reconnection, connect, connect_sync

Kind = Literal["async", "sync"]
WITHIN = 30.0
"""Seconds for one reading; a machine may stall."""


@dataclass
class Reading:
    """What came of one reading.

    Attributes:
        items: What the loop was given.
        error: What it raised.
        pauses: The seconds of each pause.
        told: What `on_reconnect` was told: the type of the error, or None.
    """

    items: list[Any] = field(default_factory=list)
    error: Exception | None = None
    pauses: list[float] = field(default_factory=list)
    told: list[str | None] = field(default_factory=list)
    reader: AsyncReader | Reader | None = None

    @property
    def data(self) -> list[Any]:
        """The data of the events."""
        return [item.data for item in self.items]

    def rules(self, kind: Kind, **options: Any) -> Reconnection:
        """Return rules without chance, that note the pauses instead of waiting."""

        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        def note(error: Exception | None, seconds: float) -> None:
            self.told.append(None if error is None else type(error).__name__)

        defaults: dict[str, Any] = {"jitter": 0, "backoff": 0, "on_reconnect": note}
        return Reconnection(**{**defaults, **options}, sleep=sleep if kind == "async" else self.pauses.append)


def read(
    kind: Kind, url: str, *, rules: dict[str, Any] | None = None, take: int | None = None, **options: Any
) -> Reading:
    """Read a stream to its end, or `take` items of it."""
    reading = Reading()
    options.setdefault("reconnection", reading.rules(kind, **(rules or {})))
    try:
        if kind == "sync":
            _read(reading, url, take, options)
        else:
            asyncio.run(asyncio.wait_for(_read_async(reading, url, take, options), WITHIN))
    except Exception as exc:
        reading.error = exc
    return reading


def _read(reading: Reading, url: str, take: int | None, options: dict[str, Any]) -> None:
    reading.reader = connect_sync(url, **options)
    with reading.reader as items:
        for item in items:
            reading.items.append(item)
            if len(reading.items) == take:
                break


async def _read_async(reading: Reading, url: str, take: int | None, options: dict[str, Any]) -> None:
    reading.reader = connect(url, **options)
    async with reading.reader as items:
        async for item in items:
            reading.items.append(item)
            if len(reading.items) == take:
                break
