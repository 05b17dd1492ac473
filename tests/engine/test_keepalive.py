"""Fillers for a silent stream: when they leave, and that they never touch the source. No test waits."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from streamkit import NDJSON, Event, EventStream, JSONSeq, StreamPolicy, TextStream
from streamkit._format import Format
from streamkit.asgi import _Response
from tests.engine.drive import Client, WSGIClient, run, start, until
from tests.engine.fake_clock import FakeClock, settle


class Source:
    """An async source that yields what a test puts in, and counts how often it was touched."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.pulled = 0

    def __aiter__(self) -> "Source":
        return self

    async def __anext__(self) -> object:
        self.pulled += 1
        if item := await self.queue.get():
            return item
        raise StopAsyncIteration


async def opened(
    clock: FakeClock, format: Format | None = None, **policy: Any
) -> tuple[Source, Client, asyncio.Task[None]]:
    """Open a stream of a silent source."""
    source, client = Source(), Client()
    options = {} if format is None else {"format": format}
    task = start(source, client, clock=clock, policy=StreamPolicy(**policy), kind=_Response, **options)
    await settle()
    return source, client, task


async def close(source: Source, task: asyncio.Task[None]) -> None:
    """End the source and its stream."""
    source.queue.put_nowait("")
    await task


def test_first_filler_of_a_silent_stream_leaves_after_one_second() -> None:
    """Some servers hold the head until the first byte, so the first does not wait for the full interval."""

    async def work() -> None:
        clock = FakeClock()
        source, client, task = await opened(clock, EventStream())
        await clock.advance(0.9)
        assert client.chunks == []
        await clock.advance(0.2)
        assert client.chunks == [b":\n"]
        await clock.advance(14)
        assert client.chunks == [b":\n"]
        await clock.advance(1)
        assert client.chunks == [b":\n"] * 2
        await clock.advance(150)
        assert client.chunks == [b":\n"] * 12
        assert source.pulled == 1
        await close(source, task)
        assert clock.pending == []

    run(work())


def test_data_resets_the_timer() -> None:
    """A filler follows 15 s of silence, not 15 s since the last filler."""

    async def work() -> None:
        clock = FakeClock()
        source, client, task = await opened(clock, EventStream())
        for _ in range(5):
            source.queue.put_nowait("x")
            await clock.advance(14)
        assert client.body == b"data: x\n\n" * 5
        await clock.advance(1.1)
        assert client.body == b"data: x\n\n" * 5 + b":\n"
        await close(source, task)

    run(work())


def test_item_that_writes_nothing_resets_no_timer() -> None:
    """What a proxy sees is silence: an Event that is a comment alone has no line in NDJSON."""

    async def work() -> None:
        clock = FakeClock()
        source, client, task = await opened(clock, NDJSON(), keepalive=15)
        source.queue.put_nowait("x")
        await clock.advance(14)
        source.queue.put_nowait(Event(comment="nothing to see"))
        await clock.advance(1.1)
        assert client.body == b'"x"\n' + b"\n"
        await close(source, task)

    run(work())


def test_short_interval_is_kept_from_the_start() -> None:
    """The first filler never waits longer than the others."""

    async def work() -> None:
        clock = FakeClock()
        source, client, task = await opened(clock, EventStream(), keepalive=0.5)
        await clock.advance(0.5)
        assert client.chunks == [b":\n"]
        await close(source, task)

    run(work())


def test_one_timer_serves_a_stream_however_many_items_it_has() -> None:
    """An item moves the next look and sets no timer of its own."""

    async def work() -> None:
        clock = FakeClock()
        source, _, task = await opened(clock, EventStream())
        for _ in range(100):
            source.queue.put_nowait("x")
            await settle()
        assert len(clock.pending) == 1
        await close(source, task)

    run(work())


def test_filler_waits_while_a_send_is_under_way() -> None:
    """A client that is slow is not idle: nothing is piled up for it."""

    async def work() -> None:
        clock = FakeClock()
        source, client, task = await opened(clock, EventStream())
        client.stop_reading()
        source.queue.put_nowait("x")
        await clock.advance(29)
        client.read_on()
        await settle()
        assert client.body == b"data: x\n\n"
        await close(source, task)

    run(work())


@pytest.mark.parametrize(
    ("format", "policy", "filler"),
    [
        (EventStream(), {}, b":\n"),
        (JSONSeq(), {}, b"\x1e"),
        (NDJSON(), {}, b""),
        (TextStream(), {}, b""),
        (NDJSON(), {"keepalive": 15}, b"\n"),
        (EventStream(), {"keepalive": None}, b""),
    ],
)
def test_each_format_sends_its_own_filler_or_none(format: Format, policy: dict[str, Any], filler: bytes) -> None:
    """NDJSON only when asked, plain text never."""

    async def work() -> None:
        clock = FakeClock()
        source, client, task = await opened(clock, format, **policy)
        await clock.advance(16.5)
        assert client.body == filler * 2
        assert clock.pending == [] or filler
        await close(source, task)

    run(work())


def test_keepalive_is_refused_for_plain_text() -> None:
    """There is no byte of plain text that a reader would not show."""
    with pytest.raises(ValueError, match="keepalive=5"):
        _Response([], format=TextStream(), policy=StreamPolicy(keepalive=5))


def test_sync_source_under_asgi_is_kept_alive() -> None:
    """A generator that blocks in its thread is silent like any other."""

    async def work() -> None:
        clock, client, gate = FakeClock(), Client(), threading.Event()

        def items() -> Iterator[str]:
            gate.wait(5)
            yield "x"

        task = start(items(), client, clock=clock)
        await until(lambda: bool(client.events))
        await clock.advance(16.5)
        assert client.chunks == [b":\n"] * 2
        gate.set()
        await task
        assert client.body == b":\n:\ndata: x\n\n"

    run(work())


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_pumped_body_on_wsgi_is_kept_alive(mode: str) -> None:
    """The server's thread is given a filler when nothing came for long enough."""
    clock, gate = FakeClock(), threading.Event()

    def items() -> Iterator[str]:
        yield "a"
        gate.wait(5)
        yield "b"

    async def async_items() -> AsyncIterator[str]:
        yield "a"
        await asyncio.to_thread(gate.wait, 5)
        yield "b"

    client = WSGIClient(items() if mode == "sync" else async_items(), clock=clock)
    assert next(client.body) == b""
    got: list[bytes] = []
    assert next(client.body) == b"data: a\n\n"
    reader = threading.Thread(target=lambda: got.extend(client.body))
    reader.start()
    for count in (1, 2):
        clock.advance_threads(14.9)
        assert len(got) == count - 1
        clock.advance_threads(0.2)
        while len(got) < count:
            threading.Event().wait(0.001)
    gate.set()
    reader.join(5)
    assert got == [b":\n", b":\n", b"data: b\n\n"]
    client.close()


def test_inline_source_gets_its_filler_with_the_head() -> None:
    """One thread cannot watch the clock while the source blocks it."""
    client = WSGIClient(iter("a"), threads=False)
    assert client.read() == b":\ndata: a\n\n"


def test_worker_without_threads_is_warned_about_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log says that an idle stream holds the worker, and what to do."""
    monkeypatch.setattr("streamkit._engine.wsgi_body._warned", set())
    for _ in range(2):
        WSGIClient(iter("a"), threads=False).read()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "holds the worker" in caplog.text
    caplog.clear()


def test_format_without_filler_needs_no_thread_on_wsgi() -> None:
    """NDJSON, unless a keepalive is asked for, is iterated in the server's thread: no thread, no warning."""
    seen: list[str] = []

    def items() -> Iterator[str]:
        seen.append(threading.current_thread().name)
        yield "a"

    assert WSGIClient(items(), format=NDJSON()).read() == b'"a"\n'
    assert WSGIClient(items(), format=NDJSON(), policy=StreamPolicy(keepalive=5)).read() == b'"a"\n'
    assert seen == [threading.current_thread().name, "streamkit-pump"]
