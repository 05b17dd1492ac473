"""However a stream ends, its source is closed once, where it ran, within a bounded time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest

from streamkit import EncodeError, StreamPolicy
from tests.engine.drive import Client, block, run, scope, start, stream
from tests.engine.drive import response as asgi_response
from tests.engine.fake_clock import FakeClock, settle


class Log:
    """A source that notes what happens to it, and in which task."""

    def __init__(self, *, awaits: bool = True) -> None:
        self.seen: list[str] = []
        self.tasks: set[asyncio.Task[Any] | None] = set()
        self.awaits = awaits

    async def items(self) -> AsyncIterator[object]:
        """Yield two items, then wait forever, or never wait at all."""
        self.tasks.add(asyncio.current_task())
        try:
            yield "a"
            while not self.awaits:
                yield "b"
            await asyncio.Event().wait()
        except BaseException as exc:
            self.seen.append(type(exc).__name__)
            raise
        finally:
            await asyncio.sleep(0)
            self.tasks.add(asyncio.current_task())
            self.seen.append("closed")


def test_waiting_source_is_cancelled_when_the_client_leaves() -> None:
    """CancelledError comes where the source awaits; its `finally` may await and runs once, in the same task."""

    async def work() -> None:
        client, log = Client(), Log()
        task = start(log.items(), client)
        await client.arrived(1)
        client.leave()
        await task
        assert log.seen == ["CancelledError", "closed"]
        assert len(log.tasks) == 1
        assert not client.ended

    run(work())


def test_source_that_never_awaits_is_closed_at_its_yield() -> None:
    """GeneratorExit comes at the yield of a source that cannot be cancelled elsewhere."""

    async def work() -> None:
        client, log = Client(), Log(awaits=False)
        task = start(log.items(), client)
        await client.arrived(2)
        client.leave()
        await task
        assert log.seen == ["GeneratorExit", "closed"]
        assert len(log.tasks) == 1

    run(work())


def test_source_is_closed_while_a_send_blocks() -> None:
    """A client that leaves without having read frees the source behind a send that never returned."""

    async def work() -> None:
        client, log = Client(), Log(awaits=False)
        task = start(log.items(), client)
        await client.arrived(1)
        client.stop_reading()
        await settle()
        client.leave()
        await task
        assert log.seen == ["GeneratorExit", "closed"]

    run(work())


def test_source_is_closed_when_the_server_cancels_the_app() -> None:
    """The cancellation goes on to the server after the source's cleanup."""

    async def work() -> None:
        client, log = Client(), Log()
        task = start(log.items(), client)
        await client.arrived(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log.seen == ["CancelledError", "closed"]

    run(work())


def test_source_is_closed_when_an_item_cannot_be_encoded() -> None:
    """The cleanup runs, and the error names the item by its index."""

    async def work() -> None:
        client = Client()
        closed: list[bool] = []

        async def items() -> AsyncIterator[object]:
            try:
                yield "a"
                await client.arrived(1)
                yield b"bytes"
            finally:
                await asyncio.sleep(0)
                closed.append(True)

        with pytest.raises(EncodeError, match="item 1: cannot encode bytes"):
            await start(items(), client)
        assert closed == [True]

    run(work())


def _stuck(seen: list[str]) -> AsyncIterator[str]:
    async def items() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            seen.append("cleaning")
            try:
                await asyncio.Event().wait()
            finally:
                seen.append("abandoned")

    return items()


@pytest.mark.parametrize("how", ["disconnect", "send fails"])
def test_cleanup_is_bounded_by_cleanup_timeout(how: str, caplog: pytest.LogCaptureFixture) -> None:
    """A cleanup that hangs is cancelled after `cleanup_timeout`, whoever noticed that the client left."""

    async def work() -> None:
        client, clock, seen = Client(), FakeClock(), list[str]()
        policy = StreamPolicy(cleanup_timeout=7, keepalive=1)
        task = start(_stuck(seen), client, clock=clock, policy=policy)
        await client.arrived(1)
        if how == "disconnect":
            client.leave()
        else:
            client.send_error = BrokenPipeError()
            await clock.advance(1)  # the keepalive finds out
        await settle()
        assert seen == ["cleaning"]
        await clock.advance(6.9)
        assert not task.done()
        await clock.advance(0.2)
        assert task.done()
        assert seen == ["cleaning", "abandoned"]
        assert clock.pending == []

    run(work())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "did not end within 7 s" in caplog.text
    caplog.clear()


def test_cleanup_after_an_error_is_bounded_too(caplog: pytest.LogCaptureFixture) -> None:
    """The error reaches the host although the source's cleanup hangs."""

    async def work() -> None:
        client, clock = Client(), FakeClock()

        async def items() -> AsyncIterator[object]:
            try:
                yield "a"
                await client.arrived(1)
                yield b"not text"
            finally:
                await asyncio.Event().wait()

        task = start(items(), client, clock=clock)
        await client.arrived(1)
        await clock.advance(10)
        with pytest.raises(EncodeError):
            await task

    run(work())
    caplog.clear()


def test_source_that_fails_while_it_is_cancelled_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """The client has left, so there is nobody to fail for; but the defect is not hidden."""

    async def work() -> None:
        client = Client()

        async def clumsy() -> AsyncIterator[str]:
            try:
                yield "a"
                await asyncio.Event().wait()
            finally:
                raise ValueError("in finally")

        task = start(clumsy(), client, on_error=lambda exc: "never")
        await client.arrived(1)
        client.leave()
        await task
        assert client.body == b"data: a\n\n"

    run(work())
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    caplog.clear()


def test_source_cancelled_from_inside_has_failed() -> None:
    """A CancelledError that nobody of us asked for never passes for a clean end; what came before it is sent."""

    async def work() -> None:
        client = Client()

        async def items() -> AsyncIterator[str]:
            await asyncio.sleep(0)
            yield "a"
            raise asyncio.CancelledError

        with pytest.raises(RuntimeError, match="cancelled from inside"):
            await start(items(), client)
        assert client.body == b"data: a\n\n"
        assert not client.ended

    run(work())


def test_client_that_leaves_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing above DEBUG, for async and sync sources."""

    def numbers() -> Iterator[str]:
        while True:
            yield "x"
            block()

    async def work() -> None:
        for source in Log().items(), numbers():
            client = Client()
            task = start(source, client)
            await client.arrived(1)
            client.leave()
            await task

    with caplog.at_level(logging.DEBUG, "streamkit"):
        run(work())
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_failing_receive_is_taken_for_a_client_that_has_left() -> None:
    """The source is closed, and the stream is not left running."""

    async def work() -> None:
        client, log = Client(), Log()

        async def receive() -> dict[str, Any]:
            await client.arrived(1)
            await settle()  # the source waits, also where its first item was slow and has left before that
            raise RuntimeError("receive after disconnect")

        await asgi_response(log.items())(scope(), receive, client.send)
        assert log.seen == ["CancelledError", "closed"]

    run(work())


def test_end_of_a_source_leaves_the_server_s_task_uncancelled() -> None:
    """The task waits for the client, and is woken by a cancellation of ours that nobody else may ever see."""

    async def work() -> None:
        async def items() -> AsyncIterator[str]:
            await asyncio.sleep(0)
            yield "a"

        client, own = Client(), asyncio.current_task()
        assert own is not None
        async with asyncio.timeout(10):
            await stream(items(), client)
        await asyncio.sleep(0)
        assert own.cancelling() == 0
        assert client.ended

    run(work())


def test_server_that_cancels_the_app_as_the_source_ends_gets_its_cancellation() -> None:
    """Two cancellations at once, ours and the server's: ours is taken back, and the server's goes on."""

    async def work() -> None:
        async def items() -> AsyncIterator[str]:
            await asyncio.sleep(0)
            yield "a"
            pump = asyncio.current_task()
            assert pump is not None
            pump.add_done_callback(lambda _: task.cancel())  # after the pump's own, and before the server's task runs

        task = start(items(), Client())
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    run(work())


def test_receive_that_makes_a_message_of_a_cancellation_spoils_no_end() -> None:
    """Middleware may wrap `receive`, and take any cancellation for a client that has left."""

    class Swallowing(Client):
        async def receive(self) -> dict[str, Any]:
            with suppress(asyncio.CancelledError):
                return await super().receive()
            return {"type": "http.disconnect"}

    async def work() -> None:
        async def items() -> AsyncIterator[str]:
            await asyncio.sleep(0)
            yield "a"

        own = asyncio.current_task()
        assert own is not None
        client = await stream(items(), Swallowing())
        assert client.body == b"data: a\n\n"
        assert client.ended
        assert own.cancelling() == 0

    run(work())
