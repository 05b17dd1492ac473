"""Pipe: push instead of yield, from threads and coroutines, with the same backpressure and the same ends."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamkit import Event, Pipe, PipeClosedError
from tests.engine.drive import Client, WSGIClient, run, start, stream, until
from tests.engine.fake_clock import settle


def in_thread(work: Any, *args: Any) -> tuple[threading.Thread, list[Any]]:
    """Run `work` in a thread; return it and the list in which its result or error will be."""
    results: list[Any] = []

    def target() -> None:
        try:
            results.append(work(*args))
        except Exception as exc:
            results.append(exc)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread, results


@pytest.mark.parametrize("threads", [True, False])
def test_items_put_by_a_thread_are_streamed_in_order(threads: bool) -> None:
    """A callback puts; the client sees; `close` ends the stream."""
    pipe = Pipe(maxsize=2)

    def produce() -> None:
        for number in range(50):
            pipe.put(number)
        pipe.close()

    thread, results = in_thread(produce)
    body = WSGIClient(pipe, threads=threads, end=Event("", event="done")).read()
    thread.join(5)
    assert results == [None]
    assert body.removeprefix(b":\n") == (
        b"".join(b"data: %d\n\n" % number for number in range(50)) + b"event: done\ndata: \n\n"
    )


def test_items_put_by_a_coroutine_wait_for_room() -> None:
    """Aput waits while the pipe is full, and goes on when the client reads on."""

    async def work() -> None:
        pipe, client = Pipe(maxsize=1), Client()
        done: list[int] = []

        async def produce() -> None:
            for number in range(20):
                await pipe.aput("x" * 40_000)
                done.append(number)
            pipe.close()

        task = start(pipe, client)
        await settle()
        client.stop_reading()
        producer = asyncio.create_task(produce())
        await settle()
        assert 0 < len(done) < 6
        assert not producer.done()
        client.read_on()
        await asyncio.gather(task, producer)
        assert client.body.count(b"data: ") == 20

    run(work())


def test_error_given_to_close_fails_the_stream_after_its_items() -> None:
    """The client does not take half for the whole."""

    async def work() -> None:
        pipe, client = Pipe(), Client()
        task = start(pipe, client)
        pipe.put("a")
        await client.arrived(1)
        pipe.put("b")
        pipe.close(ValueError("job failed"))
        pipe.close()
        with pytest.raises(ValueError, match="job failed"):
            await task
        assert client.body == b"data: a\n\ndata: b\n\n"
        assert not client.ended

    run(work())


def test_put_after_close_is_refused() -> None:
    """An item that could not be sent is not lost in silence."""
    pipe = Pipe()
    assert not pipe.closed
    pipe.close()
    assert pipe.closed
    with pytest.raises(PipeClosedError, match=r"put\(\) after close\(\)"):
        pipe.put("x")
    with pytest.raises(PipeClosedError):
        run(pipe.aput("x"))
    assert WSGIClient(pipe).read() == b""


@pytest.mark.parametrize("threads", [True, False])
def test_client_that_leaves_wakes_a_blocked_put(threads: bool) -> None:
    """The producer is told by PipeClosedError, from whichever thread it waits in."""
    pipe = Pipe(maxsize=1)
    pipe.put("x" * 100_000)
    client = WSGIClient(pipe, threads=threads)
    next(client.body)
    next(client.body)

    def produce() -> None:
        while True:
            pipe.put("x" * 100_000)

    thread, results = in_thread(produce)
    threading.Event().wait(0.01)
    client.close()
    thread.join(5)
    assert isinstance(results[0], PipeClosedError)
    assert isinstance(results[0], BrokenPipeError)
    assert pipe.closed


def test_client_that_leaves_wakes_a_blocked_aput() -> None:
    """The same for a coroutine."""

    async def work() -> None:
        pipe, client = Pipe(maxsize=1), Client()
        task = start(pipe, client)
        await settle()
        client.stop_reading()

        async def produce() -> None:
            while True:
                await pipe.aput("x" * 70_000)

        producer = asyncio.create_task(produce())
        await settle()
        assert not producer.done()
        client.leave()
        await task
        with pytest.raises(PipeClosedError):
            await producer

    run(work())


def test_pipe_of_a_stream_that_was_never_started_refuses_items() -> None:
    """HEAD reads nothing, so a producer must not wait for a reader that never comes."""
    pipe = Pipe(maxsize=1)
    pipe.put("a")
    thread, results = in_thread(pipe.put, "b")
    WSGIClient(pipe, method="HEAD").read()
    thread.join(5)
    assert isinstance(results[0], PipeClosedError)


def test_pipe_is_read_once() -> None:
    """A second reader would get every other item."""
    pipe = Pipe()
    pipe.put("a")
    pipe.close()
    assert list(pipe) == ["a"]
    with pytest.raises(RuntimeError, match="a Pipe is read once"):
        iter(pipe)
    with pytest.raises(RuntimeError, match="a Pipe is read once"):
        aiter(pipe)


def test_pipe_iterates_both_ways() -> None:
    """It is a source like any other."""

    async def read(pipe: AsyncIterator[object]) -> list[object]:
        return [item async for item in pipe]

    pipe = Pipe()
    pipe.put("a")
    pipe.close()
    assert run(read(aiter(pipe))) == ["a"]


def test_put_on_a_full_pipe_does_not_block_the_event_loop() -> None:
    """The error says what to write instead; a pipe with room may be filled from the loop."""

    async def work() -> None:
        pipe = Pipe(maxsize=1)
        pipe.put("a")
        with pytest.raises(RuntimeError, match=r"await pipe\.aput"):
            pipe.put("b")

    run(work())


@pytest.mark.parametrize("maxsize", [0, -1, True, 1.5, "1"])
def test_pipe_without_room_cannot_be_made(maxsize: Any) -> None:
    """The size is an int of at least 1."""
    with pytest.raises(ValueError, match=r"Pipe\.maxsize must be an int of at least 1"):
        Pipe(maxsize)


def test_put_wakes_a_reader_of_another_loop() -> None:
    """A thread's put reaches a stream that waits on its loop."""

    async def work() -> None:
        pipe, client = Pipe(), Client()
        task = start(pipe, client)
        await settle()
        thread, _ = in_thread(pipe.put, "a")
        await until(lambda: client.body == b"data: a\n\n")
        thread.join(5)
        pipe.close()
        await task

    run(work())


def test_put_survives_a_loop_that_was_closed() -> None:
    """A reader whose loop is gone needs no waking, and the producer is not hurt."""
    pipe = Pipe()

    loop = asyncio.new_event_loop()
    items = aiter(pipe)
    waiting = asyncio.ensure_future(items.__anext__(), loop=loop)
    loop.run_until_complete(settle())
    waiting.cancel()
    loop.run_until_complete(asyncio.gather(waiting, return_exceptions=True))
    loop.close()
    with pytest.raises(PipeClosedError):
        pipe.put("a")


def test_sources_that_end_by_themselves_leave_the_pipe_closed() -> None:
    """An encoder's refusal ends the stream, and the producer hears of it."""

    async def work() -> None:
        pipe = Pipe()
        pipe.put(b"bytes")
        with pytest.raises(ValueError, match="cannot encode bytes"):
            await stream(pipe)
        assert pipe.closed

    run(work())
