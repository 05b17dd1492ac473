"""When frames leave: slow items one by one, quick ones together, and the event loop always gets its turn."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from streamkit import StreamPolicy
from tests.engine.drive import Client, block, no_item_is_slow, run, start, stream
from tests.engine.fake_clock import settle


def frames(count: int) -> bytes:
    """Return the frames of `numbers(count)`."""
    return b"".join(b"data: %d\n\n" % number for number in range(count))


async def numbers(count: int) -> AsyncIterator[str]:
    """Yield without ever awaiting."""
    for number in range(count):
        yield str(number)


def test_each_item_of_a_generator_that_blocks_leaves_before_it_is_resumed() -> None:
    """An async generator that never suspends but takes its time is not gathered into one late chunk."""
    client = Client()
    seen: list[int] = []

    async def blocking() -> AsyncIterator[str]:
        for number in range(5):
            seen.append(len(client.chunks))
            block()
            yield str(number)

    run(stream(blocking(), client))
    assert seen == [0, 1, 2, 3, 4]
    assert client.body == frames(5)


def test_burst_of_quick_items_leaves_in_few_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand items that are ready together do not cost a thousand sends."""
    no_item_is_slow(monkeypatch)
    client = run(stream(numbers(1000)))
    assert client.body == frames(1000)
    assert len(client.chunks) < 100


def test_tail_of_quick_items_leaves_when_the_source_suspends() -> None:
    """What was gathered goes out while the source waits, not with its next item."""

    async def work() -> None:
        more = asyncio.Event()

        async def bursts() -> AsyncIterator[str]:
            for burst in ("a", "b"):
                yield burst
                yield burst
                await more.wait()

        client = Client()
        task = start(bursts(), client)
        await settle()
        assert client.body == b"data: a\n\ndata: a\n\n"
        more.set()
        await task
        assert client.body == b"data: a\n\ndata: a\n\ndata: b\n\ndata: b\n\n"

    run(work())


def test_item_of_a_source_that_suspends_at_each_leaves_while_it_waits() -> None:
    """A paced token costs no wait for the one after it."""

    async def work() -> None:
        queue: asyncio.Queue[str] = asyncio.Queue()

        async def tokens() -> AsyncIterator[str]:
            while token := await queue.get():
                yield token

        client = Client()
        task = start(tokens(), client)
        for number, token in enumerate("abc", 1):
            queue.put_nowait(token)
            await settle()
            assert len(client.chunks) == number
        queue.put_nowait("")
        await task

    run(work())


def test_full_buffer_leaves_without_waiting_for_the_source() -> None:
    """A batch never grows past `buffer_size` and one frame."""
    client = run(stream(numbers(1000), policy=StreamPolicy(buffer_size=100)))
    assert client.body == frames(1000)
    assert max(map(len, client.chunks)) <= 100 + len("data: 999\n\n")


class Processor:
    """The processor's clock, by which the pump measures how long an item took."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        for module in ("async_pump", "outlet"):
            monkeypatch.setattr(f"streamkit._engine.{module}.perf_counter", lambda: self.now)

    async def items(self, client: Client, count: int, seconds: float) -> AsyncIterator[str]:
        """Yield how many chunks had arrived when the work on an item began, which then takes `seconds`."""
        for _ in range(count):
            arrived = len(client.chunks)
            self.now += seconds
            yield str(arrived)


def test_item_that_took_more_than_half_a_millisecond_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A little less than a millisecond of work for each is enough for all to leave alone."""
    client = Client()
    run(stream(Processor(monkeypatch).items(client, 5, 0.0006), client))
    assert client.body == frames(5)


def test_quick_items_are_gathered_for_half_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that never awaits, and whose every item is quick, is not held back for longer."""
    client = Client()
    run(stream(Processor(monkeypatch).items(client, 100, 0.0001), client))
    sizes = [chunk.count(b"\n\n") for chunk in client.chunks]
    assert sum(sizes) == 100
    assert {size in (5, 6) for size in sizes[:-1]} == {True}


class Turns:
    """Notes whether the loop had a turn between an item and the next."""

    def __init__(self) -> None:
        self.had: list[bool] = []
        self._turned = False

    def before_item(self) -> None:
        """Begin to look."""
        self._turned = False
        asyncio.get_running_loop().call_soon(self._note)

    def after_item(self) -> None:
        """Write down what was seen."""
        self.had.append(self._turned)

    def _note(self) -> None:
        self._turned = True


def test_source_that_awaits_before_each_item_costs_no_turn_of_the_loop() -> None:
    """The source gives others their turns itself; one more after each paced token would cost a tenth of it."""
    turns = Turns()

    async def awaiting() -> AsyncIterator[str]:
        for number in range(5):
            await asyncio.sleep(0)
            block()
            turns.before_item()
            yield str(number)
            turns.after_item()

    assert run(stream(awaiting())).body == frames(5)
    assert turns.had[1:] == [False] * 4  # the first may wait for the head


def test_source_that_once_did_not_await_is_followed_by_a_turn_from_then_on() -> None:
    """It may block after any item, and some servers write what they were sent only when the loop has its next turn."""
    turns = Turns()

    async def mixed() -> AsyncIterator[str]:
        for number in range(6):
            if number != 2:
                await asyncio.sleep(0)
            block()
            turns.before_item()
            yield str(number)
            turns.after_item()

    assert run(stream(mixed())).body == frames(6)
    assert turns.had[1:] == [False, True, True, True, True]


def test_generator_that_never_awaits_freezes_nobody() -> None:
    """Another task of the loop runs while an endless stream without a single await is read."""

    async def work() -> None:
        async def endless() -> AsyncIterator[str]:
            while True:
                yield "x"

        client = Client()
        task = start(endless(), client)
        for _ in range(50):
            await asyncio.sleep(0)
        assert client.chunks
        client.leave()
        await task
        assert not client.ended

    run(work())


def test_quick_items_leave_while_the_source_waits_under_an_eager_task_factory() -> None:
    """A side task that finishes before it is scheduled (Python 3.12, eager tasks) does not block the next one."""
    factory = getattr(asyncio, "eager_task_factory", None)

    async def work() -> None:
        if factory is not None:
            asyncio.get_running_loop().set_task_factory(factory)
        queue: asyncio.Queue[str] = asyncio.Queue()

        async def pairs() -> AsyncIterator[str]:
            while token := await queue.get():
                yield token
                yield token

        client = Client()
        task = start(pairs(), client)
        for number in (1, 2, 3):
            queue.put_nowait("a")
            await settle()
            assert client.body == b"data: a\n\n" * 2 * number
        queue.put_nowait("")
        await task

    run(work())


def test_sync_source_under_asgi_leaves_item_by_item() -> None:
    """A generator in a thread of its own is not held back until it has ended."""

    async def work() -> None:
        client = Client()
        lengths: list[int] = []

        def slow() -> Iterator[str]:
            for number in range(5):
                lengths.append(len(client.chunks))
                yield str(number)
                while len(client.chunks) <= number:
                    time.sleep(0.001)

        task = start(slow(), client)
        await task
        assert lengths == [0, 1, 2, 3, 4]
        assert client.body == frames(5)

    run(work())


def test_many_waiting_sync_sources_hold_nobody_up() -> None:
    """Sixty sync streams, more than any shared pool has threads, each have a thread; a further one is served."""
    import threading

    async def work() -> None:
        gate = threading.Event()

        def waiting() -> Iterator[str]:
            yield "first"
            gate.wait(5)

        clients = [Client() for _ in range(60)]
        tasks = [start(waiting(), client) for client in clients]
        last = await stream(iter(["last"]))
        assert last.body == b"data: last\n\n"
        gate.set()
        await asyncio.gather(*tasks)
        assert {client.body for client in clients} == {b"data: first\n\n"}

    run(work())
