"""The buffer between two sides: bounded, never a missed wake-up, and safe to close from anywhere."""

import asyncio
import contextlib
import threading

import pytest

from streamkit import PipeClosedError
from streamkit._engine.handoff import (
    Handoff,
    call_threadsafe,
    put_from_loop,
    put_from_thread,
    take_in_loop,
    wait_in_loop,
    wait_in_thread,
)
from streamkit._engine.threads import Parker
from tests.engine.drive import run
from tests.engine.fake_clock import FakeClock, settle


def test_close_from_inside_a_locked_line_does_not_deadlock() -> None:
    """A finalizer, or a handler of a signal, may interrupt any line and close the stream it belongs to."""

    def interrupted(item: int) -> int:
        handoff.close()
        return 1

    handoff = Handoff[int](10, interrupted)
    thread = threading.Thread(target=handoff.put, args=(1,), daemon=True)
    thread.start()
    thread.join(2)
    assert not thread.is_alive()
    assert handoff.closed


def test_wake_before_sleep_is_not_lost() -> None:
    """However often it is woken, a parker wakes once, now or at its next sleep."""
    parker = Parker()
    parker.wake()
    parker.wake()
    assert parker.park(5)
    assert not parker.park(0)
    assert parker.park(0) is False


def test_wait_of_years_is_no_overflow() -> None:
    """A keepalive may be longer than the system's clock can wait for."""
    parker = Parker()
    parker.wake()
    assert parker.park(1e30)


def test_writers_of_both_kinds_wait_for_room() -> None:
    """A thread and a coroutine that found the buffer full both get their turn."""

    async def work() -> None:
        handoff = Handoff[str](1)
        assert handoff.put("a")
        assert not handoff.put("b")
        thread = asyncio.create_task(asyncio.to_thread(put_from_thread, handoff, "thread"))
        task = asyncio.create_task(put_from_loop(handoff, "task"))
        got: list[str] = []
        while len(got) < 3:
            got += await take_in_loop(handoff, 1) or []
        await asyncio.gather(thread, task)
        assert sorted(got) == ["a", "task", "thread"]

    run(work())


def test_what_a_reader_took_counts_until_it_comes_back() -> None:
    """A chunk that is being written is still held by this process."""
    handoff = Handoff[bytes](10, len)
    assert handoff.put(b"0123456789")
    assert handoff.take() == [b"0123456789"]
    assert not handoff.put(b"x")
    assert handoff.take() == []
    assert handoff.put(b"x")


def test_wait_for_room_ends_when_the_reader_comes_back() -> None:
    """The producer learns late, so it holds what it has made."""

    async def work() -> None:
        handoff = Handoff[bytes](5, len)
        assert handoff.put(b"1234")
        assert handoff.put(b"5")
        task = asyncio.create_task(wait_in_loop(handoff.when_room))
        await settle()
        assert not task.done()
        assert handoff.take() == [b"1234", b"5"]
        await settle()
        assert not task.done()
        handoff.take()
        await task
        handoff.close()
        with pytest.raises(PipeClosedError, match="the reader has left"):
            await put_from_loop(handoff, b"6")

    run(work())


@pytest.mark.parametrize("error", [StopIteration(), StopAsyncIteration()])
def test_error_that_would_read_as_a_clean_end_is_dressed(error: Exception) -> None:
    """An encoder of the user's may raise it by mistake."""
    handoff = Handoff[bytes](1)
    handoff.end(error)
    handoff.end()
    with pytest.raises(RuntimeError) as caught:
        _ = handoff.finished
    assert caught.value.__cause__ is error
    assert handoff.finished


def test_reader_sees_what_came_before_the_end() -> None:
    """The error comes after the items, once."""
    handoff = Handoff[str](5)
    handoff.put("a")
    handoff.end(ValueError("x"))
    assert not handoff.finished
    assert handoff.take() == ["a"]
    with pytest.raises(ValueError, match="x"):
        _ = handoff.finished
    with pytest.raises(PipeClosedError, match="after close"):
        handoff.put("b")
    assert wait_in_thread(handoff.when_readable)


def test_wait_that_times_out_can_be_repeated() -> None:
    """False says that nothing came; the next wait still sees what comes."""

    async def work() -> None:
        clock, handoff = FakeClock(), Handoff[str](5)
        wait = asyncio.create_task(wait_in_loop(handoff.when_readable, 3, clock))
        await clock.advance(3)
        assert await wait is False
        wait = asyncio.create_task(wait_in_loop(handoff.when_readable, 3, clock))
        await settle()
        handoff.put("a")
        assert await wait is True
        assert clock.pending == []

    run(work())


def test_call_to_a_closed_loop_is_dropped() -> None:
    """Any other refusal of a loop is not hidden."""
    loop = asyncio.new_event_loop()
    loop.close()
    call_threadsafe(loop, lambda: None)

    class Broken(asyncio.SelectorEventLoop):
        def call_soon_threadsafe(self, *args: object, **kwargs: object) -> asyncio.Handle:
            raise RuntimeError("broken")

    broken = Broken()
    with contextlib.closing(broken), pytest.raises(RuntimeError, match="broken"):
        call_threadsafe(broken, lambda: None)
