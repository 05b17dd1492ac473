"""What becomes of a filler on its way: counted, waited for, or refused; and what goes on after it. No test waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamkit import StreamPolicy
from streamkit._engine.clock import Clock
from tests.engine.drive import Client, run, start
from tests.engine.fake_clock import FakeClock, settle
from tests.engine.lives import Ends

FIRST = b":\n"


class Steps:
    """An async source that awaits something twice before each item."""

    def __init__(self) -> None:
        self._items: asyncio.Queue[str] = asyncio.Queue()
        self._half = asyncio.Event()

    async def items(self) -> AsyncIterator[str]:
        """Yield what was put in, until that is empty."""
        while True:
            await self._half.wait()
            self._half.clear()
            if not (item := await self._items.get()):
                return
            yield item

    async def go_half_way(self) -> None:
        """Let the source go on to the second of what it awaits."""
        self._half.set()
        await settle()

    async def give(self, item: str) -> None:
        """Have an item yielded."""
        await self.go_half_way()
        self._items.put_nowait(item)
        await settle()


async def opened(clock: Clock, **options: Any) -> tuple[Steps, Client, asyncio.Task[None], Ends]:
    """Open a stream whose source waits for its first step."""
    steps, client, ends = Steps(), Client(), Ends()
    task = start(steps.items(), client, clock=clock, on_close=ends, **options)
    await settle()
    return steps, client, task, ends


def test_fillers_are_counted_as_bytes_and_not_as_items() -> None:
    """Whether they left at once or had to wait for the client."""

    async def work() -> None:
        clock = FakeClock()
        steps, client, task, ends = await opened(clock)
        await clock.advance(1)
        client.stop_reading()
        await clock.advance(15)
        client.read_on()
        await settle()
        await steps.give("a")
        await steps.give("")
        await task
        assert client.body == FIRST * 2 + b"data: a\n\n"
        ((reason, stats),) = ends.told
        assert (reason, stats.frames, stats.bytes) == ("completed", 1, len(client.body))

    run(work())


def test_what_gathers_behind_a_slow_filler_leaves_as_soon_as_it_has() -> None:
    """It waits neither for the next item nor for the next filler; and what follows leaves as ever."""

    async def work() -> None:
        clock = FakeClock()
        steps, client, task, _ = await opened(clock)
        client.stop_reading()
        await clock.advance(1)
        begun = client.sending
        await steps.give("a")
        assert (client.sending, client.body) == (begun, b"")
        client.read_on()
        await settle()
        assert client.body == FIRST + b"data: a\n\n"
        await steps.give("b")
        assert client.body == FIRST + b"data: a\n\ndata: b\n\n"
        assert not client.overlapped
        await steps.give("")
        await task

    run(work())


def test_source_that_waits_on_after_a_filler_is_no_slow_client() -> None:
    """`send_timeout` is for what the server takes, and the filler has left."""

    async def work() -> None:
        clock = FakeClock()
        steps, client, task, ends = await opened(clock, policy=StreamPolicy(keepalive=100, send_timeout=5))
        await clock.advance(1)
        await steps.go_half_way()
        await clock.advance(50)
        assert client.body == FIRST
        steps._items.put_nowait("")
        await task
        assert ends.reasons == ["completed"]

    run(work())


@pytest.mark.parametrize("slow", [False, True])
def test_server_that_refuses_a_filler_because_the_client_has_left_ends_the_stream(slow: bool) -> None:
    """As when it refuses an item: nothing is logged, and the source is closed."""

    async def work() -> None:
        clock = FakeClock()
        _, client, task, ends = await opened(clock)
        if slow:
            client.stop_reading()
            await clock.advance(1)
        client.send_error = OSError("gone")
        client.read_on()
        await clock.advance(1)
        await task
        assert ends.reasons == ["disconnected"]

    run(work())
