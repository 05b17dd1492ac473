"""Threads for calls that wait: few, made at need, gone when idle, and never the reason that somebody hangs."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from _queue import Empty, SimpleQueue
from collections.abc import Callable
from typing import Any

import pytest

from streamkit.channels import _workers
from streamkit.channels._native import start_thread
from streamkit.channels._workers import MOST, Calls, Workers
from streamkit.errors import LogUnavailableError
from tests.channels.subscribed import WaitingLog
from tests.engine.drive import run, until
from tests.engine.interpreter import GEVENT, python
from tests.engine.lives import wait_for


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "streamkit-log"}


@pytest.fixture(autouse=True)
def _short_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_workers, "IDLE", 0.02)


def test_result_and_error_are_the_callers() -> None:
    """As if the call had been made here; in another thread."""

    async def work() -> None:
        workers = Workers()
        assert await workers.run(threading.get_ident) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await workers.run(lambda: 1 // 0)
        with pytest.raises(SystemExit):
            await workers.run(exit)

    run(work())


def test_thread_that_waits_holds_nothing_of_what_it_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of a log may be a megabyte, and there are a dozen threads."""
    monkeypatch.setattr(_workers, "IDLE", 10.0)

    class Page:
        pass

    async def work() -> None:
        workers, others = Workers(), _threads()
        page = await workers.run(Page)
        read = weakref.ref(page)
        del page
        await until(lambda: read() is None)
        assert _threads() - others, "it waits for the next call"

    run(work())


def test_call_for_which_no_thread_is_free_in_time_is_refused_and_never_made() -> None:
    """All threads wait for the log: whoever publishes hears of it, and may publish again."""

    async def work() -> None:
        log, gate, begun, made = WaitingLog(), threading.Event(), list[int](), list[int]()
        calls = Calls(log)

        def wait() -> bool:
            begun.append(1)
            return gate.wait(10)

        held = [asyncio.ensure_future(calls.run(wait)) for _ in range(MOST)]
        await until(lambda: len(begun) == MOST)
        log.timeout = 1e-9
        late = asyncio.ensure_future(calls.run(lambda: made.append(1), "append"))
        await asyncio.sleep(0)
        gate.set()
        with pytest.raises(LogUnavailableError, match="no thread was free for it within 1e-09 s"):
            await late
        assert await asyncio.gather(*held) == [True] * MOST
        assert made == []

    run(work())


def test_threads_are_few_and_end_when_idle() -> None:
    """A hundred calls at once are made by four; later by new ones."""

    async def work() -> None:
        workers, gate, seen, others = Workers(), threading.Event(), set[int](), _threads()

        def call() -> None:
            seen.add(threading.get_ident())
            assert gate.wait(5)

        for _ in range(2):
            calls = [asyncio.ensure_future(workers.run(call)) for _ in range(100)]
            await until(lambda: len(seen) == MOST)
            gate.set()
            await asyncio.gather(*calls)
            assert len(seen) == MOST
            seen.clear()
            gate.clear()
            await asyncio.to_thread(wait_for, lambda: not _threads() - others)

    run(work())


def test_one_call_after_another_needs_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that is idle takes the next."""
    monkeypatch.setattr(_workers, "IDLE", 5)

    async def work() -> None:
        workers, seen = Workers(), set[int]()
        for _ in range(50):
            seen.add(await workers.run(threading.get_ident))
            # One that has just answered may not have said yet that it is idle.
            await until(lambda: workers._pool.here()._idle == 1)
        assert len(seen) == 1

    run(work())


class _Tired:
    """A queue whose reader is told that nothing came, when something has come since."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.put, self.empty, self.qsize = self._jobs.put, self._jobs.empty, self._jobs.qsize
        self.waits, self.late = threading.Event(), threading.Event()

    def get(self, timeout: float) -> Callable[[], None]:
        if self.waits.is_set():  # it has given up once
            return self._jobs.get(timeout=timeout)
        self.waits.set()
        assert self.late.wait(10)
        raise Empty


def test_no_call_is_left_when_a_thread_goes_idle() -> None:
    """A call that comes just when a thread ends is made all the same."""

    async def work() -> None:
        workers = Workers()
        pool: Any = workers._pool.here()
        pool._jobs = tired = _Tired()
        start_thread(pool._work, "streamkit-log")
        pool._threads = 1
        await until(tired.waits.is_set)
        call = asyncio.ensure_future(workers.run(threading.get_ident))
        await until(lambda: tired.qsize() == 1)
        assert pool._threads == 1  # the idle one is to take it
        tired.late.set()
        assert await call

    run(work())


def test_call_goes_on_where_its_caller_is_cancelled() -> None:
    """A publish that is under way is stored or not, and its thread is free again."""

    async def work() -> None:
        workers, gate, done = Workers(), threading.Event(), threading.Event()

        def call() -> None:
            assert gate.wait(5)
            done.set()

        task = asyncio.ensure_future(workers.run(call))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        gate.set()
        assert await workers.run(lambda: done.wait(5))

    run(work())


def test_call_that_waited_too_long_for_a_thread_is_never_made() -> None:
    """Its caller was told that it failed."""

    async def work() -> None:
        workers, gate, made = Workers(), threading.Event(), []
        blocked = [asyncio.ensure_future(workers.run(lambda: gate.wait(5))) for _ in range(MOST)]
        late = asyncio.ensure_future(workers.run(lambda: made.append(1), within=0))
        await asyncio.sleep(0)
        gate.set()
        with pytest.raises(TimeoutError):
            await late
        await asyncio.gather(*blocked)
        assert made == []
        await workers.run(lambda: made.append(1), within=5)
        assert made == [1]

    run(work())


def test_thread_that_cannot_be_started_is_an_error_and_not_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may be at its limit; later it is not."""

    def refuse(run: Callable[[], object], name: str) -> None:
        raise RuntimeError("can't start new thread")

    async def work() -> None:
        workers = Workers()
        with monkeypatch.context() as patched:
            patched.setattr(_workers, "start_thread", refuse)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                await workers.run(lambda: 1)
        assert await workers.run(lambda: 2) == 2

    run(work())


def test_loop_that_was_closed_gets_no_result() -> None:
    """The thread goes on, and serves other loops."""
    workers, gate, begun = Workers(), threading.Event(), threading.Event()

    async def leave() -> None:
        task = asyncio.ensure_future(workers.run(lambda: begun.set() or gate.wait(5)))  # type: ignore[func-returns-value]
        await until(begun.is_set)
        task.cancel()

    asyncio.run(leave())
    gate.set()
    assert run(workers.run(lambda: 1)) == 1


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_fork_has_threads_of_its_own() -> None:
    """The parent's are not in the child."""
    workers = Workers()
    assert run(workers.run(lambda: 1)) == 1
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if asyncio.run(workers.run(os.getpid)) == os.getpid() else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_threads_are_the_systems_own_under_gevent() -> None:
    """A call that blocks holds up no greenlet, and readers on the loop of streamkit get what greenlets publish."""
    out, err = python(
        """
        import asyncio, threading, time
        from streamkit.channels import Channels, MemoryLog
        from streamkit.wsgi import EventStreamResponse

        class Waiting(MemoryLog):
            blocking = True
            def page(self, *args):
                from gevent.monkey import get_original
                before, until = ticks, time.monotonic() + 10
                while ticks < before + 10 and time.monotonic() < until:
                    get_original("time", "sleep")(0.01)
                held_up.append(ticks < before + 10)
                return super().page(*args)

        ticks, held_up = 0, []
        def ticker():
            global ticks
            while True:
                gevent.sleep(0.001)
                ticks += 1
        gevent.spawn(ticker)
        channels = Channels(Waiting())
        environ = {"REQUEST_METHOD": "GET", "wsgi.multithread": True}
        body = EventStreamResponse(channels.subscribe("a"))(environ, lambda status, headers: None)
        def read(wanted, got=b""):
            while wanted not in got:
                got += next(body)
            return got
        reading = gevent.spawn(read, b"cursor")
        reading.get(timeout=20)
        assert held_up and not any(held_up)
        publishing = [gevent.spawn(channels.publish_sync, "a", number) for number in range(10)]
        assert b"data: 9" in gevent.spawn(read, b"data: 9").get(timeout=20)
        gevent.joinall(publishing, timeout=20)
        body.close()
        until = time.monotonic() + 5
        while channels.subscribers("a") and time.monotonic() < until:
            gevent.sleep(0.01)
        print("subscribers", channels.subscribers("a"))
        """,
        prelude=GEVENT,
    )
    assert out == "subscribers 0\n"
    assert err == ""
