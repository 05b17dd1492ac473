"""Threads, locks and parking, safe under gevent.

A sleeping side is woken through a callable that works from any thread: `Parker.wake` for a thread or greenlet. Locks
guard a few lines that never wait, so they are the operating system's own also where gevent has patched `threading`.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


T = TypeVar("T")


class Parker:
    """Lets one thread sleep until another wakes it.

    A bare lock, since `threading.Event` has code that must not be entered again by a finalizer that interrupts it.
    """

    __slots__ = ("_latch",)

    def __init__(self, latch: threading.Lock | None = None) -> None:
        self._latch = latch or threading.Lock()
        self._latch.acquire()

    def wake(self) -> None:
        """End the present sleep, or the next one; from any thread."""
        with suppress(RuntimeError):  # awake already
            self._latch.release()

    def park(self, timeout: float | None = None) -> bool:
        """Sleep until woken; False when `timeout` seconds passed first."""
        return self._latch.acquire(timeout=-1 if timeout is None else min(timeout, threading.TIMEOUT_MAX))


def under_gevent() -> bool:
    """Tell whether gevent has replaced this process's threads with greenlets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def new_parker() -> Parker:
    """Return a parker for the thread or greenlet that calls."""
    if under_gevent():
        from streamkit._engine._gevent import GreenletParker

        return GreenletParker()
    return Parker()


def new_latch() -> threading.Lock:
    """Return a lock of the operating system that one thread may take and another give back; for a native thread."""
    if under_gevent():
        from streamkit._engine._gevent import native_latch

        return native_latch()
    return threading.Lock()


def new_lock() -> AbstractContextManager[object]:
    """Return a lock of the operating system that its holder may take again.

    A finalizer, or a handler of a signal, may run in the middle of any line, and may close the very stream on which
    that line works.
    """
    if under_gevent():
        from streamkit._engine._gevent import native_lock

        return native_lock()
    return threading.RLock()


class PerProcess(Generic[T]):
    """One value for each process: a fork has its parent's memory, and makes a value of its own at its first use."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: dict[int, T] = {}

    def here(self) -> T:
        """Return the value of this process."""
        pid = os.getpid()
        if pid not in self._values:
            self._values.setdefault(pid, self._make())  # two threads at once agree on one
            for other in self._values.keys() - {pid}:
                self._values.pop(other, None)
        return self._values[pid]


def running_loop() -> AbstractEventLoop | None:
    """Return the event loop that runs in this thread, if one does; without loading asyncio."""
    asyncio = sys.modules.get("asyncio")
    try:
        return None if asyncio is None else cast("AbstractEventLoop", asyncio.get_running_loop())
    except RuntimeError:
        return None


def start_native_thread(run: Callable[[], object], name: str) -> None:
    """Start a daemon thread of the operating system, also where gevent has replaced threads."""
    if under_gevent():
        from streamkit._engine import _gevent

        _gevent.start_native_thread(run)
    else:
        start_thread(run, name)


def start_thread(run: Callable[[], object], name: str) -> threading.Thread:
    """Start a daemon thread, or a greenlet under gevent; it never keeps the process alive."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
