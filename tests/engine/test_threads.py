"""Threads for sync sources: capped, counted, left when stuck, and never in the way."""

import asyncio
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from streamkit import PipeClosedError, StreamPolicy, TooManyStreamsError, asgi, set_max_threads
from streamkit._engine.limit import CAP
from tests.engine.drive import LIMIT, Client, WSGIClient, run, start, until
from tests.engine.fake_clock import FakeClock
from tests.engine.sources import Gated


def test_priming_over_the_cap_is_an_error_of_the_view() -> None:
    """No thread was started and none is counted."""
    set_max_threads(1)
    gated = Gated()
    holder = WSGIClient(gated.items())
    with pytest.raises(TooManyStreamsError, match="limit of 1 open streams"):
        asgi.primed(["x"])
    gated.gate.set()
    holder.read()


def test_async_and_inline_sources_need_no_thread() -> None:
    """The cap is on threads, not on streams."""
    set_max_threads(1)
    gated = Gated()
    holder = WSGIClient(gated.items())
    assert WSGIClient(iter("x"), threads=False).read() == b":\ndata: x\n\n"
    gated.gate.set()
    holder.read()


@pytest.mark.parametrize("limit", [0, -1, True, 1.0, "5", None])
def test_cap_is_an_int_of_at_least_one(limit: Any) -> None:
    """Anything else is refused and changes nothing."""
    before = CAP.total
    with pytest.raises(ValueError, match="max_threads must be an int of at least 1"):
        set_max_threads(limit)
    assert CAP.total == before


def test_thread_that_cannot_be_started_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may refuse a thread before our cap does."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("streamkit._engine.thread_pump.start_thread", refuse)
    with pytest.raises(RuntimeError, match="start new thread"):
        WSGIClient(iter("x"))
    assert CAP.open == 0


def test_client_that_leaves_frees_the_task_at_once_and_the_source_when_its_next_returns() -> None:
    """A thread inside user code cannot be interrupted; GeneratorExit comes after, and it is not pulled again."""

    async def work() -> None:
        gated, client = Gated(), Client()
        task = start(gated.items(), client)
        await client.arrived(1)
        await until(lambda: gated.seen == ["blocked"])
        client.leave()
        await task
        assert gated.seen == ["blocked"]
        gated.gate.set()
        await asyncio.to_thread(_wait, lambda: "closed" in gated.seen)
        assert gated.seen == ["blocked", "GeneratorExit", "closed"]

    run(work())


def _wait(holds: Callable[[], bool]) -> None:
    until_when = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < until_when
        time.sleep(0.001)


def test_wsgi_close_does_not_wait_for_a_stuck_source(caplog: pytest.LogCaptureFixture) -> None:
    """The server's thread is free at once; `cleanup_timeout` later the log says which source is stuck."""
    gated, clock = Gated(), FakeClock()
    client = WSGIClient(gated.items(), clock=clock)
    next(client.body)
    next(client.body)
    _wait(lambda: gated.seen == ["blocked"])
    client.close()
    client.close()
    assert gated.seen == ["blocked"]
    _wait(lambda: clock.pending == [10, 10])
    asyncio.run(clock.advance(10))
    gated.gate.set()
    _wait(lambda: "closed" in gated.seen)
    assert "still inside <generator object Gated.items" in caplog.text
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    caplog.clear()


def test_wsgi_close_does_not_wait_for_a_first_item() -> None:
    """A source that has not come to its first `yield` yet cannot be stopped either."""
    gate, begun = threading.Event(), threading.Event()

    def late() -> Iterator[str]:
        begun.set()
        gate.wait(10)
        yield "a"

    client = WSGIClient(late(), clock=FakeClock())
    next(client.body)
    assert begun.wait(LIMIT)
    client.close()  # a wait would last until somebody moves the clock
    gate.set()


def test_stuck_source_under_asgi_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The task is free after half a second, and the log speaks when `cleanup_timeout` has passed."""

    async def work() -> None:
        gated, client, clock = Gated(), Client(), FakeClock()
        task = start(gated.items(), client, clock=clock, policy=StreamPolicy(cleanup_timeout=3))
        await client.arrived(1)
        await until(lambda: gated.seen == ["blocked"])
        client.leave()
        await clock.advance(0.4)
        assert not task.done()
        await clock.advance(0.2)
        await task
        assert caplog.records == []
        await clock.advance(3)
        assert "still inside <generator object Gated.items" in caplog.text
        gated.gate.set()
        await asyncio.to_thread(_wait, lambda: "closed" in gated.seen)

    run(work())
    assert len(caplog.records) == 1
    caplog.clear()


def test_source_that_ends_in_time_is_not_reported_as_stuck(caplog: pytest.LogCaptureFixture) -> None:
    """The report looks again when its time has come."""

    async def work() -> None:
        gated, client, clock = Gated(), Client(), FakeClock()
        task = start(gated.items(), client, clock=clock)
        await client.arrived(1)
        await until(lambda: gated.seen == ["blocked"])
        client.leave()
        await clock.advance(0.6)
        await task
        gated.gate.set()
        await asyncio.to_thread(_wait, lambda: CAP.open == 0)
        await clock.advance(10)

    run(work())
    assert caplog.records == []


class Exits:
    """A source that leaves its thread in its cleanup by what is no Exception."""

    def __iter__(self) -> Iterator[str]:
        return iter("a")

    def close(self) -> None:
        """Exit the thread."""
        raise SystemExit


def test_exit_inside_a_cleanup_does_not_leave_the_reader_waiting() -> None:
    """The thread is given back and the stream ends, as an error."""
    client = WSGIClient(Exits())
    with pytest.raises(SystemExit):
        client.read()


def test_sync_source_that_ignores_generator_exit_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """Its thread ends, and the log says why, in a pump and inline."""

    def stubborn() -> Generator[str]:
        for _ in range(2):
            try:
                while True:
                    yield "x"
            except GeneratorExit:
                yield "y"

    for threads in (True, False):
        source = stubborn()
        client = WSGIClient(source, threads=threads)
        next(client.body)
        next(client.body)
        client.close()
        _wait(lambda: CAP.open == 0)  # the thread may be inside the source, where closing does not wait for it
        assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"]
        caplog.clear()
        source.close()  # at its second `yield` it obeys, and leaves nothing behind, whoever still holds it


def test_source_that_hears_of_its_client_by_an_error_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    """What a thread raises after its client has left goes to DEBUG."""
    gate = threading.Event()

    def failing() -> Iterator[str]:
        yield "a"
        gate.wait(5)
        raise PipeClosedError("upstream")

    client = WSGIClient(failing())
    next(client.body)
    next(client.body)
    client.close()
    gate.set()
    _wait(lambda: CAP.open == 0)
    assert caplog.records == []
