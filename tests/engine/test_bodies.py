"""Bodies that a host iterates: what they hold for it, how they are left, and what becomes of abandoned ones."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from streamkit import Pipe, StreamPolicy
from streamkit._engine.bodies import AsyncBody
from streamkit._engine.stream import Stream
from streamkit.sse import EventStream
from tests.engine.drive import Client, WSGIClient, run, start, until
from tests.engine.fake_clock import FakeClock, settle

FRAME = 100


SIZE = 1000


POLICY = StreamPolicy(buffer_size=SIZE, keepalive=None)


class Counter:
    """Endless sources whose frames are `FRAME` bytes; counts what was pulled."""

    def __init__(self) -> None:
        self.pulled = 0

    def items(self) -> Iterator[str]:
        """Yield for ever."""
        while True:
            self.pulled += 1
            yield "x" * (FRAME - len("data: \n\n"))

    async def async_items(self) -> AsyncIterator[str]:
        """Yield for ever."""
        for item in self.items():
            yield item
            await asyncio.sleep(0)  # sent from aside, while this goes on


def at_rest(counter: Counter) -> int:
    """Wait until the source is not pulled any more; return how often it was."""
    calm = threading.Event()
    before = -1
    while before != counter.pulled:
        before = counter.pulled
        calm.wait(0.02)
    return before


@pytest.mark.parametrize("mode", ["items", "async_items"])
def test_unread_wsgi_body_holds_a_buffer_and_one_frame(mode: str) -> None:
    """What a server is writing counts: it is still in this process."""
    counter = Counter()
    policy = StreamPolicy(buffer_size=SIZE)
    client = WSGIClient(getattr(counter, mode)(), policy=policy)
    assert next(client.body) == b""
    assert at_rest(counter) * FRAME <= SIZE + FRAME
    next(client.body)
    assert at_rest(counter) * FRAME <= SIZE + FRAME
    client.close()


def test_unread_sync_source_under_asgi_holds_a_buffer_and_one_frame() -> None:
    """A thread and a task in a row share one buffer."""

    async def work() -> None:
        counter, client = Counter(), Client()
        client.stop_reading()
        task = start(counter.items(), client, policy=StreamPolicy(buffer_size=SIZE))
        await client.began(1)
        assert await asyncio.to_thread(at_rest, counter) * FRAME <= SIZE + FRAME
        client.leave()
        client.read_on()
        await task

    run(work())


def test_frames_that_write_nothing_do_not_pile_up() -> None:
    """A source of comments alone in a JSON format weighs nothing and still ends when its reader leaves."""
    from streamkit import NDJSON, Event

    counter = Counter()

    def comments() -> Iterator[Event]:
        for _ in counter.items():
            yield Event(comment="c")

    client = WSGIClient(comments(), format=NDJSON(), policy=StreamPolicy(keepalive=60))
    next(client.body)
    while counter.pulled < 100:
        threading.Event().wait(0.001)
    assert client.body._producer.handoff.take() == []
    client.close()


@pytest.mark.parametrize("mode", ["items", "async_items"])
def test_body_that_a_host_awaits_can_be_left_anywhere(mode: str) -> None:
    """Before its start, in the middle, and twice."""

    def body() -> AsyncBody:
        built = Stream(getattr(Counter(), mode)())
        built.bind(format=EventStream(), policy=POLICY)
        return AsyncBody(built)

    async def work() -> None:
        unstarted = body()
        await unstarted.aclose()
        assert [chunk async for chunk in unstarted] == []
        started = body()
        assert await anext(started) == b""
        assert (await anext(started)).startswith(b"data: x")
        await started.aclose()
        await started.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(started)

    run(work())


def test_body_that_is_left_before_its_start_closes_its_source() -> None:
    """A producer behind a pipe hears that nobody will ever read."""

    async def work() -> None:
        pipe = Pipe()
        built = Stream(pipe)
        built.bind(format=EventStream(), policy=POLICY)
        await AsyncBody(built).aclose()
        assert pipe.closed

    run(work())


def test_body_that_a_host_awaits_is_kept_alive_and_ends() -> None:
    """Fillers by the clock, then the item, then the end."""

    async def work() -> None:
        clock, gate = FakeClock(), asyncio.Event()

        async def items() -> AsyncIterator[str]:
            await gate.wait()
            yield "a"

        built = Stream(items())
        built.bind(format=EventStream(), policy=StreamPolicy(), clock=clock)
        body = AsyncBody(built)
        got: list[bytes] = []

        async def read() -> None:
            got.extend([chunk async for chunk in body])

        reader = asyncio.create_task(read())
        await clock.advance(1)
        await clock.advance(15)
        gate.set()
        await reader
        assert got == [b"", b":\n", b":\n", b"data: a\n\n"]

    run(work())


def test_cancelled_reader_closes_the_source() -> None:
    """A host that cancels the task that iterates needs to say nothing else."""

    async def work() -> None:
        closed: list[bool] = []

        async def items() -> AsyncIterator[str]:
            try:
                await asyncio.Event().wait()
                yield "never"
            finally:
                await asyncio.sleep(0)
                closed.append(True)

        built = Stream(items())
        built.bind(format=EventStream(), policy=POLICY)
        body = AsyncBody(built)
        assert await anext(body) == b""
        reader = asyncio.ensure_future(anext(body))
        await settle()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert closed == [True]

    run(work())


def test_abandoned_bodies_close_their_sources() -> None:
    """No `close` was called and nobody refers to the body any more."""
    sync, background = WSGIClient(Counter().items()), WSGIClient(Counter().async_items())
    for client in sync, background:
        next(client.body)
        next(client.body)
    del sync, background, client


def test_abandoned_body_of_a_host_that_awaits_closes_its_source() -> None:
    """The same where an event loop iterates."""

    async def work() -> None:
        closed: list[bool] = []

        async def items() -> AsyncIterator[str]:
            try:
                while True:
                    yield "a"
            finally:
                closed.append(True)

        built = Stream(items())
        built.bind(format=EventStream(), policy=POLICY)
        body = AsyncBody(built)
        await anext(body)
        await anext(body)
        del body
        await until(lambda: closed == [True])

    run(work())
