"""The token that comes alone, after its source has waited: it leaves by a shorter way, which keeps every promise."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamkit._engine.async_pump import AsyncPump
from tests.engine.drive import Client, Deaf, block, run, start


class Source:
    """Items that each take a while, of which the source waits for some of it.

    Attributes:
        pulled: How many it was asked for.
        closed: Whether it was closed.
    """

    def __init__(self) -> None:
        self.pulled, self.closed = 0, False

    async def items(self) -> AsyncIterator[str]:
        """Yield numbers, until it is closed."""
        try:
            while True:
                self.pulled += 1
                await paced()
                yield str(self.pulled)
        finally:
            await asyncio.sleep(0)
            self.closed = True


async def paced() -> None:
    """Take a while, as a token of a model does."""
    await asyncio.sleep(0)
    block()


class Interrupted(Client):
    """A client whose server is interrupted while it sends the third item."""

    async def send(self, event: Any) -> None:
        """Fail once."""
        if event.get("body", b"").endswith(b"3\n\n") and self.send_error is None:
            self.send_error = asyncio.CancelledError()
            raise self.send_error
        self.events.append(event)


@pytest.fixture(autouse=True)
def _only_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where an item after the first, which may wait for the head, goes by the way of a batch."""
    flush = AsyncPump._flush

    async def first_only(self: AsyncPump, *args: Any, **options: Any) -> float:
        assert self.index == 1
        return await flush(self, *args, **options)

    monkeypatch.setattr(AsyncPump, "_flush", first_only)


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), RuntimeError("protocol")], ids=["gone", "broken"])
def test_source_is_closed_where_the_send_fails(error: Exception) -> None:
    """A client that has gone is nobody's error, any other is the server's; nothing is sent again, nor asked for."""

    async def work() -> None:
        client, source, asked = Client(), Source(), list[Exception]()
        task = start(source.items(), client, on_error=asked.append)
        await client.arrived(3)
        client.send_error = error
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        assert outcome is (None if isinstance(error, OSError) else error)
        assert (source.closed, source.pulled, client.sending, asked) == (True, 4, 2 + 4, [])

    run(work())


def test_item_leaves_once_when_the_sources_own_timeout_ends_meanwhile() -> None:
    """The send is not cut short, and the source has its TimeoutError where it yielded."""

    async def work() -> None:
        client = Client()

        async def items() -> AsyncIterator[str]:
            for text in ("1", "2"):
                await paced()
                yield text
            try:
                async with asyncio.timeout(None) as limit:
                    await paced()
                    client.stop_reading()
                    limit.reschedule(asyncio.get_running_loop().time())
                    asyncio.get_running_loop().call_later(0.01, client.read_on)
                    yield "3"
            except TimeoutError:
                yield "late"

        await start(items(), client)
        assert client.body == b"data: 1\n\ndata: 2\n\ndata: 3\n\ndata: late\n\n"
        assert client.ended

    run(work())


def test_item_is_not_lost_when_the_send_is_interrupted_from_inside() -> None:
    """Whatever the server has cancelled: what it did not take is sent again, before all that comes after it."""

    async def work() -> None:
        client = Interrupted()

        async def items() -> AsyncIterator[str]:
            try:
                for number in range(1, 4):
                    await paced()
                    yield str(number)
            except asyncio.CancelledError:
                yield "4"

        await start(items(), client)
        assert client.body == b"data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n"

    run(work())


def test_source_is_not_pulled_again_when_a_send_swallows_the_cancellation() -> None:
    """The client leaves while an item waits for it; the server returns as if that had left."""

    async def work() -> None:
        client, source = Deaf(), Source()
        task = start(source.items(), client)
        await client.arrived(3)
        client.stop_reading()
        await client.began(2 + 4)
        client.leave()
        await task
        assert (source.pulled, source.closed) == (4, True)

    run(work())
