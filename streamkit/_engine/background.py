"""One event loop per process, in a daemon thread, for async sources whose server is not async.

Made at first use and made again after a fork, which copies the loop but not its thread. Nothing is made at import.
"""

from __future__ import annotations

import asyncio
import os
import threading

from streamkit._engine.threads import running_loop, start_native_thread, under_gevent

# Of the process that made them, whose id is the key: a fork copies a loop but not its thread, and a lock with whoever
# held it. What was copied is kept and never touched: thrown away, a loop would complain that nobody closed it.
_locks: dict[int, threading.Lock] = {}
_loops: dict[int, asyncio.AbstractEventLoop] = {}


def background_loop() -> asyncio.AbstractEventLoop:
    """Return the running loop of this process, starting it when it is the first to be asked for."""
    pid = os.getpid()
    with _locks.setdefault(pid, threading.Lock()):
        if pid not in _loops:
            _loops[pid] = _start()
        return _loops[pid]


def _start() -> asyncio.AbstractEventLoop:
    if under_gevent():
        from streamkit._engine._gevent import new_native_loop

        loop = new_native_loop()
    else:
        loop = asyncio.new_event_loop()
    start_native_thread(loop.run_forever, "streamkit-loop")
    return loop


def on_background_loop() -> bool:
    """Tell whether the caller runs on the loop that streamkit keeps for this process."""
    loop = running_loop()
    return loop is not None and _loops.get(os.getpid()) is loop
