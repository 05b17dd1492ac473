"""Deadlines and groups that a generator holds open across its `yield`, or a send inside itself, while a send blocks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import Any

import anyio
import pytest

from streamkit import Event
from tests.engine.drive import Client, block, run, start, until
from tests.engine.fake_clock import settle


@asynccontextmanager
async def _as_async(scope: AbstractContextManager[object]) -> AsyncIterator[None]:
    with scope:
        yield


DEADLINES: list[Callable[[], Any]] = [
    lambda: asyncio.timeout(0),
    lambda: _as_async(anyio.fail_after(0)),
    lambda: _as_async(anyio.move_on_after(0)),
]


@pytest.mark.parametrize("deadline", DEADLINES, ids=["timeout", "fail_after", "move_on_after"])
def test_deadline_held_open_across_a_yield_fires_in_the_generator(deadline: Callable[[], Any]) -> None:
    """The send that it interrupts finishes, its bytes leave once; the error comes at the yield, which may answer."""

    async def work() -> None:
        client = Client()
        late: list[str] = []

        async def items() -> AsyncIterator[str]:
            yield "first"
            await client.arrived(1)
            client.stop_reading()
            with suppress(TimeoutError):
                async with deadline():
                    block()
                    yield "inside"
                    late.append("the deadline did not fire")
            yield "answer"

        task = start(items(), client)
        await settle()
        assert client.sending == 4
        assert client.body == b"data: first\n\n"
        client.read_on()
        await task
        assert late == []
        assert client.body == b"data: first\n\ndata: inside\n\ndata: answer\n\n"
        assert client.ended
        assert not client.overlapped

    run(work())


def test_failing_task_group_held_open_across_a_yield_reports_in_the_generator() -> None:
    """The group's own error surfaces where the group is, after the send."""

    async def work() -> None:
        client = Client()

        async def fail_soon() -> None:
            await until(lambda: client._inside)
            raise ValueError("child")

        async def items() -> AsyncIterator[str]:
            yield "first"
            await client.arrived(1)
            client.stop_reading()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(fail_soon())
                    block()
                    yield "inside"
            except* ValueError:
                pass
            yield "answer"

        task = start(items(), client)
        await settle()
        client.read_on()
        await task
        assert client.body == b"data: first\n\ndata: inside\n\ndata: answer\n\n"

    run(work())


def test_generator_may_end_at_a_deadline_that_fires_during_a_send() -> None:
    """Returning after its timeout is a normal end."""

    async def work() -> None:
        client = Client()

        async def items() -> AsyncIterator[str]:
            yield "first"
            await client.arrived(1)
            client.stop_reading()
            with anyio.move_on_after(0):
                block()
                yield "inside"

        task = start(items(), client, end=Event("", event="done"))
        await settle()
        client.read_on()
        await task
        assert client.body == b"data: first\n\ndata: inside\n\nevent: done\ndata: \n\n"
        assert client.ended

    run(work())


def test_cancellation_meant_for_an_iterator_without_athrow_ends_it() -> None:
    """A plain async iterator has no place to raise in; the stream fails, and does not end cleanly."""

    class Items:
        def __aiter__(self) -> "Items":
            return self

        async def __anext__(self) -> str:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(task.cancel)
            block()
            return "x"

    async def work() -> None:
        client = Client()
        task = start(Items(), client)
        with pytest.raises(RuntimeError, match="cancelled from inside"):
            await task
        assert not client.ended

    run(work())


def test_own_timeout_of_a_send_never_reaches_the_generator() -> None:
    """A cancellation that the send's own timeout asked for is settled with that timeout."""

    class Impatient(Client):
        async def send(self, event: Any) -> None:
            try:
                async with asyncio.timeout(0):
                    await super().send(event)
            except TimeoutError:
                self.events.append(event)

    async def work() -> None:
        client = Impatient()

        async def items() -> AsyncIterator[str]:
            yield "first"
            await client.arrived(1)
            client.stop_reading()
            block()
            yield "second"
            yield "third"

        task = start(items(), client)
        await settle()
        client.read_on()
        await task
        assert client.body == b"data: first\n\ndata: second\n\ndata: third\n\n"
        assert client.ended

    run(work())
