"""What the applications of the rig stream: each scenario a source, sync and async, and the options of its response.

Both sources of a scenario yield the same items, so that a client can tell them apart by nothing. No scenario lasts
longer than the test that asked for it: endless sources and waiting ones end when the recorder is reset. A source takes
no arguments, because in FastAPI's `yield` style it is the endpoint itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from streamkit import Event, StreamPolicy
from tests.rig.recorder import Record, recorder

Mode = Literal["sync", "async"]
Source = Callable[[], Any]
Primed = Callable[[Any], Any]

GATED_ITEMS = 5
BIG = "x" * 8192
FAILURE = "planned failure"

# What servers and kernels may take of a stream that nobody reads: generous, but no endless one fits.
MOST_AHEAD = 48 * 1024 * 1024

# Seconds after which no server and no adapter can still turn an error into an error response.
IN_THE_BODY = 0.15

_POLL = 0.005


def _is_open(record: Record) -> bool:
    return record.pulled < record.allowed


def gated() -> Iterator[str]:
    """Yield five items, each when the test allows it."""
    with recorder.recording("gated") as record:
        for number in range(GATED_ITEMS):
            while not _is_open(record):
                time.sleep(_POLL)
            yield record.pull(f"item {number}")


async def gated_async() -> AsyncIterator[str]:
    """Yield five items, each when the test allows it."""
    async with recorder.recording("gated") as record:
        for number in range(GATED_ITEMS):
            # Asked again and again, because the side door may be in any thread.
            while not _is_open(record):  # noqa: ASYNC110
                await asyncio.sleep(_POLL)
            yield record.pull(f"item {number}")


async def gated_blocking() -> AsyncIterator[str]:
    """Yield five items, each when the test allows it, and let nobody run while each is made."""
    async with recorder.recording("gated") as record:
        for number in range(GATED_ITEMS):
            time.sleep(_POLL)  # noqa: ASYNC251 - the fault that this scenario shows
            until = time.monotonic() + 8
            while not _is_open(record) and time.monotonic() < until:
                time.sleep(_POLL)  # noqa: ASYNC251
            yield record.pull(f"item {number}")


def ticking() -> Iterator[int]:
    """Yield numbers for ever, one every 20 ms."""
    with recorder.recording("ticking") as record:
        while not record.released:
            yield record.pull(record.pulled)
            time.sleep(0.02)


async def ticking_async() -> AsyncIterator[int]:
    """Yield numbers for ever, one every 20 ms."""
    async with recorder.recording("ticking") as record:
        while not record.released:
            yield record.pull(record.pulled)
            await asyncio.sleep(0.02)


def numbered() -> Iterator[Event]:
    """Yield numbers with their ids for ever, one every 20 ms."""
    with recorder.recording("numbered") as record:
        while not record.released:
            yield Event(record.pull(record.pulled), id=record.pulled)
            time.sleep(0.02)


async def numbered_async() -> AsyncIterator[Event]:
    """Yield numbers with their ids for ever, one every 20 ms."""
    async with recorder.recording("numbered") as record:
        while not record.released:
            yield Event(record.pull(record.pulled), id=record.pulled)
            await asyncio.sleep(0.02)


def idle() -> Iterator[Event]:
    """Yield one item that has an id, and then none for ever."""
    with recorder.recording("idle") as record:
        yield Event(record.pull("item"), id="1")
        while not record.released:
            time.sleep(0.2)


async def idle_async() -> AsyncIterator[Event]:
    """Yield one item that has an id, and then none for ever."""
    async with recorder.recording("idle") as record:
        yield Event(record.pull("item"), id="1")
        while not record.released:  # noqa: ASYNC110 - the side door may be in any thread
            await asyncio.sleep(0.2)


def flood() -> Iterator[str]:
    """Yield frames of 8 KiB for ever, as fast as they are taken."""
    with recorder.recording("flood") as record:
        while not record.released:
            yield f"{record.pull(record.pulled)} {BIG}"


async def flood_async() -> AsyncIterator[str]:
    """Yield frames of 8 KiB for ever, never awaiting."""
    async with recorder.recording("flood") as record:
        while not record.released:
            yield f"{record.pull(record.pulled)} {BIG}"


def spinning() -> Iterator[int]:
    """Yield small items for ever, as fast as they are taken."""
    with recorder.recording("spinning") as record:
        while not record.released:
            yield record.pull(record.pulled)


async def spinning_async() -> AsyncIterator[int]:
    """Yield small items for ever, never awaiting."""
    async with recorder.recording("spinning") as record:
        while not record.released:
            yield record.pull(record.pulled)


def finite() -> Iterator[int]:
    """Yield 0, 1, 2 and end."""
    with recorder.recording("finite") as record:
        for number in range(3):
            yield record.pull(number)


async def finite_async() -> AsyncIterator[int]:
    """Yield 0, 1, 2 and end."""
    async with recorder.recording("finite") as record:
        for number in range(3):
            yield record.pull(number)
            await asyncio.sleep(0)


def untouched() -> Iterator[str]:
    """Yield one item, if anybody asks."""
    with recorder.recording("untouched") as record:
        yield record.pull("item")


async def untouched_async() -> AsyncIterator[str]:
    """Yield one item, if anybody asks."""
    async with recorder.recording("untouched") as record:
        yield record.pull("item")


def failing() -> Iterator[str]:
    """Yield two items and fail."""
    with recorder.recording("failing") as record:
        yield record.pull("one")
        time.sleep(IN_THE_BODY)
        yield record.pull("two")
        raise RuntimeError(f"{FAILURE} {record.number}")


async def failing_async() -> AsyncIterator[str]:
    """Yield two items and fail."""
    async with recorder.recording("failing") as record:
        yield record.pull("one")
        await asyncio.sleep(IN_THE_BODY)
        yield record.pull("two")
        raise RuntimeError(f"{FAILURE} {record.number}")


def bad_item() -> Iterator[Any]:
    """Yield one item and one that no format can encode."""
    with recorder.recording("bad item") as record:
        yield record.pull("one")
        time.sleep(IN_THE_BODY)
        yield record.pull(object())
        yield record.pull("three")


async def bad_item_async() -> AsyncIterator[Any]:
    """Yield one item and one that no format can encode."""
    async with recorder.recording("bad item") as record:
        yield record.pull("one")
        await asyncio.sleep(IN_THE_BODY)
        yield record.pull(object())
        yield record.pull("three")


def apologise(error: BaseException) -> Event:
    """Tell the client, in our own words, that the stream failed."""
    return Event("sorry", event="failed")


@dataclass(frozen=True)
class Scenario:
    """A source in both modes and the keywords of the response that streams it; `prime` has the view wait for it."""

    sync: Source
    asynchronous: Source
    response: str = "EventStreamResponse"
    prime: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def source(self, mode: Mode) -> Source:
        """Return the generator function of a mode."""
        return self.sync if mode == "sync" else self.asynchronous


DONE = Event("", event="done")

SCENARIOS = {
    "gated": Scenario(gated, gated_async),
    "blocking": Scenario(gated, gated_blocking),
    "lively": Scenario(gated, gated_async, options={"policy": StreamPolicy(keepalive=0.2)}),
    "ticking": Scenario(ticking, ticking_async),
    "numbered": Scenario(numbered, numbered_async),
    "idle": Scenario(idle, idle_async),
    "aged": Scenario(numbered, numbered_async, options={"policy": StreamPolicy(max_age=0.3)}),
    "graced": Scenario(gated, gated_async, options={"end": DONE, "policy": StreamPolicy(grace=10)}),
    "patient": Scenario(idle, idle_async, options={"policy": StreamPolicy(drain="finish", grace=60)}),
    "flood": Scenario(flood, flood_async),
    "spinning": Scenario(spinning, spinning_async),
    "finite": Scenario(finite, finite_async, options={"end": DONE}),
    "failing": Scenario(failing, failing_async, options={"end": DONE}),
    "failing_handled": Scenario(failing, failing_async, options={"end": DONE, "on_error": apologise}),
    "bad_item": Scenario(bad_item, bad_item_async, options={"end": DONE}),
    "untouched": Scenario(untouched, untouched_async),
    "finite_primed": Scenario(finite, finite_async, prime=True),
    "retry": Scenario(finite, finite_async, options={"policy": StreamPolicy(retry=1500)}),
    "headers": Scenario(finite, finite_async, options={"headers": {"X-Ours": "1", "Cache-Control": "no-store"}}),
    "ndjson": Scenario(finite, finite_async, response="NDJSONResponse", options={"end": {"done": True}}),
    "ndjson_lively": Scenario(
        gated, gated_async, response="NDJSONResponse", options={"policy": StreamPolicy(keepalive=0.2)}
    ),
    "ndjson_failing": Scenario(failing, failing_async, response="NDJSONResponse", options={"end": {"done": True}}),
    "told_finite": Scenario(finite, finite_async, options={"on_close": recorder.note_reason}),
    "told_failing": Scenario(failing, failing_async, options={"on_close": recorder.note_reason}),
    "told_ticking": Scenario(ticking, ticking_async, options={"on_close": recorder.note_reason}),
    "json_seq": Scenario(finite, finite_async, response="JSONSeqResponse"),
    "text": Scenario(finite, finite_async, response="TextStreamResponse"),
}


def refusal(error: Exception, *, prime: bool) -> Scenario:
    """Return a scenario that raises `error` before its first item, for applications to raise what their host knows."""

    def refused() -> Iterator[str]:
        with recorder.recording("refused"):
            raise error
            yield ""

    async def refused_async() -> AsyncIterator[str]:
        # No `async with`: its exit awaits, and a source that has waited is past an error response.
        with recorder.recording("refused"):
            raise error
            yield ""

    return Scenario(refused, refused_async, prime=prime)


@dataclass(frozen=True)
class Route:
    """One scenario in one mode."""

    path: str
    mode: Mode
    scenario: Scenario

    @property
    def source(self) -> Source:
        """The generator function."""
        return self.scenario.source(self.mode)

    def content(self, primed: Primed) -> Any:
        """Make the content in a sync view; `primed` is the adapter's."""
        return primed(self.source()) if self.scenario.prime else self.source()

    async def content_awaited(self, primed: Primed) -> Any:
        """Make the content in an async view; `primed` is the adapter's."""
        return await primed(self.source()) if self.scenario.prime else self.source()


def routes(refused: Exception) -> list[Route]:
    """Return all routes of an application whose host answers `refused` by an error response."""
    refusals = {"refused": refusal(refused, prime=False), "refused_primed": refusal(refused, prime=True)}
    scenarios = {**SCENARIOS, **refusals}
    modes: tuple[Mode, ...] = ("sync", "async")
    return [Route(f"/{mode}/{name}", mode, scenario) for name, scenario in scenarios.items() for mode in modes]
