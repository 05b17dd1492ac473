"""A client that does not read: one send on ASGI may take `send_timeout`, and no timer outlives its send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from streamkit import StreamCutError, StreamPolicy
from tests.engine.drive import Client, run, start, until
from tests.engine.fake_clock import FakeClock, settle
from tests.engine.lives import Ends

POLICY = StreamPolicy(send_timeout=30, keepalive=None)


class Endless:
    """Items without end, sync or async; notes how it was closed."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def asynchronous(self) -> AsyncIterator[str]:
        """Suspend after each item, so that it is sent from aside."""
        try:
            while True:
                yield "x"
                await asyncio.sleep(0)
        except BaseException as exc:
            self.seen.append(type(exc).__name__)
            raise
        finally:
            await asyncio.sleep(0)
            self.seen.append("closed")

    def sync(self) -> Iterator[str]:
        """Yield as fast as it is read."""
        try:
            while True:
                yield "x"
        except BaseException as exc:
            self.seen.append(type(exc).__name__)
            raise
        finally:
            self.seen.append("closed")


async def waiting(seen: list[str]) -> AsyncIterator[str]:
    """Yield one item and wait for ever."""
    try:
        yield "a"
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        seen.append("CancelledError")
        raise


async def cut(task: asyncio.Task[None]) -> None:
    """Check that the host was told to cut the connection."""
    with pytest.raises(StreamCutError, match="slow_client"):
        await task


@pytest.mark.parametrize("mode", ["asynchronous", "sync"])
def test_send_that_does_not_return_in_time_ends_the_stream(mode: str) -> None:
    """The source is closed at its yield, the body is not, and the reason is that the client was slow."""

    async def work() -> None:
        clock, client, source, ends = FakeClock(), Client(), Endless(), Ends()
        policy = StreamPolicy(send_timeout=30, keepalive=None, buffer_size=200)
        task = start(getattr(source, mode)(), client, clock=clock, policy=policy, on_close=ends)
        await client.arrived(1)
        client.stop_reading()
        await until(lambda: client._inside)
        await until(lambda: bool(clock.pending))
        await clock.advance(29.9)
        assert source.seen == []
        assert not task.done()
        await clock.advance(0.2)
        await cut(task)
        assert source.seen == ["GeneratorExit", "closed"]
        assert not client.ended
        assert ends.reasons == ["slow_client"]
        assert clock.pending == []

    run(work())


def test_send_that_the_pump_itself_awaits_is_limited() -> None:
    """A source that never suspends fills the buffer and is cancelled at its yield."""

    async def work() -> None:
        clock, client, ends, seen = FakeClock(), Client(), Ends(), list[str]()

        async def items() -> AsyncIterator[str]:
            try:
                while True:
                    yield "x" * 1000
            finally:
                seen.append("closed")

        task = start(items(), client, clock=clock, policy=StreamPolicy(keepalive=None, buffer_size=10), on_close=ends)
        await client.arrived(1)
        client.stop_reading()
        await until(lambda: client._inside)
        await clock.advance(30)
        await cut(task)
        assert (seen, ends.reasons, clock.pending) == (["closed"], ["slow_client"], [])

    run(work())


def test_filler_that_is_not_taken_ends_the_stream() -> None:
    """A silent stream learns that its client is gone by its keepalive."""

    async def work() -> None:
        clock, client, ends, seen = FakeClock(), Client(), Ends(), list[str]()
        task = start(waiting(seen), client, clock=clock, on_close=ends)
        await client.arrived(1)
        client.stop_reading()
        await clock.advance(15)
        assert client._inside
        await clock.advance(29)
        assert ends.reasons == []
        await clock.advance(1)
        await cut(task)
        assert seen == ["CancelledError"]
        assert ends.reasons == ["slow_client"]
        assert clock.pending == []

    run(work())


def test_end_of_the_body_is_limited_too() -> None:
    """A client that stops reading at the very end does not hold the request for ever."""

    async def work() -> None:
        clock, ends = FakeClock(), Ends()

        class Server(Client):
            async def send(self, event: Any) -> None:
                if event.get("more_body") is False:
                    self.stop_reading()
                await super().send(event)

        client = Server()
        task = start(iter("ab"), client, clock=clock, policy=POLICY, on_close=ends)
        await until(lambda: client._inside)
        await clock.advance(29)
        assert not task.done()
        await clock.advance(1)
        await cut(task)
        assert client.body == b"data: a\n\ndata: b\n\n"
        assert not client.ended
        assert ends.reasons == ["slow_client"]
        assert clock.pending == []

    run(work())


def test_without_send_timeout_a_send_may_take_for_ever() -> None:
    """None leaves it to the server."""

    async def work() -> None:
        clock, client, ends = FakeClock(), Client(), Ends()
        policy = StreamPolicy(send_timeout=None, keepalive=None)
        task = start(Endless().asynchronous(), client, clock=clock, policy=policy, on_close=ends)
        await client.arrived(1)
        client.stop_reading()
        await until(lambda: client._inside)
        assert clock.pending == []
        await clock.advance(1e6)
        assert not task.done()
        client.leave()
        await task
        assert ends.reasons == ["disconnected"]

    run(work())


def test_send_that_returns_in_time_leaves_no_timer() -> None:
    """Each send has the whole time, however many were slow before it."""

    async def work() -> None:
        clock, client, ends, more = FakeClock(), Client(), Ends(), asyncio.Semaphore(0)

        async def items() -> AsyncIterator[str]:
            for letter in "abc":
                yield letter
                await more.acquire()

        task = start(items(), client, clock=clock, policy=POLICY, on_close=ends)
        for count in 1, 2, 3:
            await client.arrived(count)
            assert clock.pending == []
            client.stop_reading()
            more.release()
            await settle()
            assert clock.pending == [30]
            await clock.advance(25)
            client.read_on()
            await settle()
            assert clock.pending == []
        await task
        assert client.ended
        assert ends.reasons == ["completed"]
        assert ends.told[0][1].slowest_flush > 0

    run(work())
