"""Threads for calls that wait for a disk or a network, so that no event loop does.

They are the system's own, also where gevent has replaced `threading`; started at need, few, and gone when idle.
"""

from __future__ import annotations

import asyncio
import threading
from _queue import Empty, SimpleQueue  # queue's own, which gevent does not replace
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from streamkit._engine.handoff import call_threadsafe
from streamkit._engine.threads import PerProcess, new_lock
from streamkit.channels._log import Log
from streamkit.channels._native import start_thread
from streamkit.errors import LogUnavailableError

T = TypeVar("T")

MOST = 4
"""Threads of one `Workers`."""

IDLE = 10.0
"""Seconds after which a thread that has nothing to do ends."""


class _Pool:
    """The threads of one process."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = new_lock()
        self._threads = 0
        self._idle = 0

    def submit(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)
        with self._lock:
            if self._idle >= self._jobs.qsize() or self._threads >= MOST:
                return
            self._threads += 1
        try:
            start_thread(self._work, "streamkit-log")
        except BaseException:
            with self._lock:
                self._threads -= 1
                if self._threads:
                    return
            if threading.main_thread().is_alive():
                raise
            # The interpreter is leaving, and since 3.12 it starts no thread then: the caller waits for nothing else.
            while not self._jobs.empty():
                self._jobs.get()()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                job = self._jobs.get(timeout=IDLE)
            except Empty:
                job = None
            with self._lock:
                self._idle -= 1
                if job is None and self._jobs.empty():
                    self._threads -= 1
                    return
            if job is not None:
                job()
                job = None  # with all that was read: until the next one comes, nobody needs it


class Workers:
    """Runs calls elsewhere for event loops that wait for them; a fork begins with none."""

    def __init__(self) -> None:
        self._pool = PerProcess(_Pool)

    async def run(self, call: Callable[[], T], *, within: float | None = None) -> T:
        """Return what `call` returns, or raise what it raises; it goes on where the caller is cancelled.

        Args:
            call: Runs in a thread.
            within: Seconds within which it must have begun.

        Raises:
            TimeoutError: It has not, and never will.
        """
        until = None if within is None else monotonic() + within
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        def job() -> None:
            result, error = None, None
            try:
                if until is not None and monotonic() > until:
                    raise TimeoutError
                result = call()
            except BaseException as exc:
                error = exc
            call_threadsafe(loop, lambda: settle(result, error))

        self._pool.here().submit(job)
        return await future


class Calls:
    """Calls of one log from event loops: in threads of their own, where the log may block."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._workers = Workers()

    async def run(self, call: Callable[[], T], operation: str = "answer") -> T:
        """Return what a call of the log returns, or raise what it raises.

        Args:
            call: Calls the log.
            operation: What the error says was tried.

        Raises:
            LogUnavailableError: No thread was free for it within the log's timeout.
        """
        if not self._log.blocking:
            return call()
        try:
            return await self._workers.run(call, within=self._log.timeout)
        except TimeoutError:
            detail = f"no thread was free for it within {self._log.timeout:g} s, since others wait for it"
            raise LogUnavailableError(repr(self._log), operation, detail) from None
