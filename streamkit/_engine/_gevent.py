"""What has to be different when gevent has patched the process. The one file of the engine that imports gevent.

Greenlets of a worker share one thread, so waiting must go through gevent's hub; the event loop for async sources must
not, so it gets a thread, a lock and a selector that were never patched.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, cast

import gevent
from gevent import monkey
from gevent.event import Event

from streamkit._engine.threads import Parker

if TYPE_CHECKING:
    import threading
    from asyncio import AbstractEventLoop


class GreenletParker(Parker):
    """Lets one greenlet sleep until any greenlet, or any thread of the system, wakes it."""

    __slots__ = ("_flag", "_hub_loop")

    def __init__(self) -> None:
        self._flag = Event()
        self._hub_loop = gevent.get_hub().loop

    def wake(self) -> None:
        """End the present sleep, or the next one; from any thread."""
        self._hub_loop.run_callback_threadsafe(self._flag.set)

    def park(self, timeout: float | None = None) -> bool:
        """Sleep until woken; False when `timeout` seconds passed first."""
        woken = self._flag.wait(timeout)
        self._flag.clear()
        return woken


def native_lock() -> AbstractContextManager[object]:
    """Return a lock that gevent did not replace; its holder may take it again."""
    return cast(AbstractContextManager[object], monkey.get_original("_thread", "RLock")())


def native_latch() -> threading.Lock:
    """Return a lock that gevent did not replace; any thread may give it back."""
    return cast("threading.Lock", monkey.get_original("_thread", "allocate_lock")())


def new_native_loop() -> AbstractEventLoop:
    """Return an event loop that polls by the system's own selector."""
    import asyncio

    return asyncio.SelectorEventLoop(monkey.get_original("selectors", "DefaultSelector")())


def start_native_thread(run: Callable[[], object]) -> None:
    """Run `run` in a thread of the system."""
    gevent.get_hub()  # its first use imports modules; in the native thread that would deadlock on gevent's import lock
    monkey.get_original("_thread", "start_new_thread")(run, ())
