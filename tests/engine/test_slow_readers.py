"""A reader that leaves the buffer full. On WSGI the blocked write is the server's; the source need not wait with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from streamkit import StreamCutError, StreamPolicy
from streamkit._engine.background import background_loop
from tests.engine.drive import LIMIT, WSGIClient
from tests.engine.fake_clock import FakeClock
from tests.engine.lives import Ends, wait_for


class Flood:
    """Frames without end; notes how it was closed."""

    def __init__(self) -> None:
        self.closed_by = ""

    def sync(self) -> Iterator[str]:
        """Yield for ever."""
        try:
            while True:
                yield "x" * 100
        except BaseException as exc:
            self.closed_by = type(exc).__name__
            raise

    async def asynchronous(self) -> AsyncIterator[str]:
        """Yield for ever."""
        try:
            while True:
                yield "x" * 100
        except BaseException as exc:
            self.closed_by = type(exc).__name__
            raise


def opened(content: object, clock: FakeClock, ends: Ends) -> WSGIClient:
    """Return a client that has read one item, and reads no more for now."""
    policy = StreamPolicy(send_timeout=30, buffer_size=1000)
    client = WSGIClient(content, clock=clock, policy=policy, on_close=ends)
    next(client.body)
    next(client.body)
    return client


def test_reader_that_leaves_the_buffer_full_frees_a_sync_source() -> None:
    """`send_timeout` closes the source in its thread; the server is told when it comes back for more."""
    flood, clock, ends = Flood(), FakeClock(), Ends()
    client = opened(flood.sync(), clock, ends)
    wait_for(lambda: clock.sleeping)  # the buffer is full
    clock.advance_threads(29.9)
    assert flood.closed_by == ""
    clock.advance_threads(0.2)
    wait_for(lambda: flood.closed_by)
    with pytest.raises(StreamCutError, match="slow_client"):
        next(client.body)
    client.close()
    assert (flood.closed_by, ends.reasons) == ("GeneratorExit", ["slow_client"])


def test_reader_that_leaves_the_buffer_full_frees_an_async_source() -> None:
    """The same on the loop that streamkit keeps."""
    flood, clock, ends = Flood(), FakeClock(), Ends()
    client = opened(flood.asynchronous(), clock, ends)
    wait_for(lambda: 30 in clock.pending)
    asyncio.run_coroutine_threadsafe(clock.advance(30), background_loop()).result(LIMIT)
    wait_for(lambda: flood.closed_by)
    with pytest.raises(StreamCutError, match="slow_client"):
        next(client.body)
    client.close()
    assert (flood.closed_by, ends.reasons) == ("GeneratorExit", ["slow_client"])
