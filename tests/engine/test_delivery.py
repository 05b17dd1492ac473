"""Sends that are slow, cancelled or failing: every frame leaves once, errors reach whom they belong to."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamkit import StreamPolicy
from tests.engine.drive import Client, Deaf, block, no_item_is_slow, run, scope, start, stream
from tests.engine.drive import response as asgi_response
from tests.engine.fake_clock import settle

TINY = StreamPolicy(buffer_size=1)


def test_frames_leave_once_when_the_send_suspends() -> None:
    """A buffer that fills while a send is under way is not sent a second time."""

    class Slow(Client):
        async def send(self, event: Any) -> None:
            await asyncio.sleep(0)
            await super().send(event)
            await asyncio.sleep(0)

    async def items() -> AsyncIterator[str]:
        for number in range(200):
            yield str(number)
            if number % 7 == 0:
                await asyncio.sleep(0)

    client = Slow()
    run(stream(items(), client, policy=StreamPolicy(buffer_size=40)))
    assert client.body == b"".join(b"data: %d\n\n" % number for number in range(200))
    assert not client.overlapped


def test_frames_before_an_error_are_sent_before_it() -> None:
    """What was yielded and gathered is not lost when the generator raises."""

    async def failing() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        yield "a"
        yield "b"
        raise ValueError("broken")

    async def work() -> None:
        client = Client()
        task = start(failing(), client)
        with pytest.raises(ValueError, match="broken"):
            await task
        assert client.body == b"data: a\n\ndata: b\n\n"
        assert not client.ended

    run(work())


def test_frames_before_an_error_wait_for_a_slow_head() -> None:
    """A source that fails while the server still sends the head loses nothing, and nothing follows the error."""

    async def failing() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        yield "a"
        raise ValueError("broken")

    async def work() -> None:
        client = Client()
        client.stop_reading()
        task = start(failing(), client)
        await settle()
        client.read_on()
        with pytest.raises(ValueError, match="broken"):
            await task
        sent = list(client.events)
        await settle()
        assert client.body == b"data: a\n\n"
        assert client.events == sent

    run(work())


def test_frame_stays_in_the_buffer_until_its_send_has_returned() -> None:
    """While a send waits, the source is at most `buffer_size` and one frame ahead of the client."""

    async def work() -> None:
        pulled = 0

        async def endless() -> AsyncIterator[str]:
            nonlocal pulled
            while True:
                pulled += 1
                yield "x" * 92  # a frame of 100 bytes

        client = Client()
        task = start(endless(), client, policy=StreamPolicy(buffer_size=1000))
        await settle()
        client.stop_reading()
        await settle()
        taken, before = len(client.body), pulled
        await settle()
        assert pulled == before
        assert pulled * 100 - taken <= 1100
        client.leave()
        await task

    run(work())


def test_source_is_not_pulled_again_when_a_send_swallows_the_cancellation() -> None:
    """A server whose send returns normally after a cancellation does not keep the stream alive."""

    async def work() -> None:
        client = Deaf()
        pulled = 0

        async def items() -> AsyncIterator[str]:
            nonlocal pulled
            while True:
                pulled += 1
                yield "x"
                if pulled == 1:
                    await asyncio.sleep(0)

        task = start(items(), client, policy=TINY)
        await client.began(4)
        client.stop_reading()
        await settle()
        before = pulled
        client.leave()
        await task
        assert pulled == before

    run(work())


@pytest.mark.parametrize("fails_at", range(1, 6))
def test_send_that_finds_the_client_gone_ends_the_stream_quietly(
    fails_at: int, caplog: pytest.LogCaptureFixture
) -> None:
    """OSError, at the head, in the body or at the end, closes the source and is nobody's error."""

    class Gone(Client):
        async def send(self, event: Any) -> None:
            if self.sending + 1 >= fails_at:
                self.send_error = ConnectionResetError("gone")
            await super().send(event)

    closed: list[bool] = []

    async def items() -> AsyncIterator[str]:
        try:
            for number, text in enumerate("ab", 1):
                yield text
                await client.arrived(number)
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    client = Gone()
    run(stream(items(), client))
    assert closed == [True]
    assert not client.ended
    assert caplog.records == []


def test_send_that_fails_otherwise_is_the_servers_error_and_not_the_sources() -> None:
    """on_error is not asked, nothing is sent again, the source is closed and the server gets its error back."""

    async def work() -> None:
        client = Client()
        asked: list[Exception] = []
        closed: list[bool] = []

        async def items() -> AsyncIterator[str]:
            try:
                yield "first"
                await client.arrived(1)
                client.send_error = RuntimeError("protocol")
                block()
                yield "second"
            finally:
                closed.append(True)

        task = start(items(), client, on_error=asked.append)
        with pytest.raises(RuntimeError, match="protocol"):
            await task
        assert client.sending == 4
        assert closed == [True]
        assert asked == []

    run(work())


def test_send_that_fails_while_the_source_waits_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source need not come back for the error to be seen."""
    no_item_is_slow(monkeypatch)  # so it is sent from aside

    async def work() -> None:
        client = Client()
        closed: list[str] = []

        async def items() -> AsyncIterator[str]:
            try:
                yield "first"
                await client.arrived(1)
                client.send_error = RuntimeError("protocol")
                yield "second"
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                closed.append("cancelled")
                raise

        with pytest.raises(RuntimeError, match="protocol"):
            await start(items(), client)
        assert closed == ["cancelled"]

    run(work())


def test_send_may_be_any_awaitable() -> None:
    """A server's send that returns a future works as one that returns a coroutine."""

    async def work() -> None:
        client = Client()

        def send(event: Any) -> asyncio.Future[None]:
            client.events.append(event)
            future = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(future.set_result, None)
            return future

        async def items() -> AsyncIterator[str]:
            yield "a"
            await asyncio.sleep(0)
            yield "b"

        await asgi_response(items())(scope(), client.receive, send)
        assert client.body == b"data: a\n\ndata: b\n\n"

    run(work())
