"""One event loop per process, in a daemon thread, for async sources whose server is not async.

Made at first use and made again after a fork, which copies the loop but not its thread. Nothing is made at import.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AbstractContextManager

from streamkit._engine.threads import new_lock, running_loop, start_native_thread, under_gevent

# Of the process that made them, whose id is the key: a fork copies a loop but not its thread, and a lock with whoever
# held it. What was copied is kept and never touched: thrown away, a loop would complain that nobody closed it.
_locks: dict[int, AbstractContextManager[object]] = {}
_loops: dict[int, asyncio.AbstractEventLoop] = {}


def background_loop() -> asyncio.AbstractEventLoop:
    """Return the running loop of this process, starting it when it is the first to be asked for."""
    pid = os.getpid()
    with _locks.setdefault(pid, new_lock()):
        if pid not in _loops:
            _loops[pid] = loop = _new_loop()  # there before its thread: a finalizer may ask while that starts
            try:
                start_native_thread(loop.run_forever, "streamkit-loop")
            except BaseException:
                _loops.pop(pid).close()
                raise
        return _loops[pid]


def _new_loop() -> asyncio.AbstractEventLoop:
    if not under_gevent():
        return asyncio.new_event_loop()
    from streamkit._engine._gevent import new_native_loop

    return new_native_loop()


def on_background_loop() -> bool:
    """Tell whether the caller runs on the loop that streamkit keeps for this process."""
    loop = running_loop()
    return loop is not None and _loops.get(os.getpid()) is loop
