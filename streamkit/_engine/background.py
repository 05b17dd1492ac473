"""One event loop per process, in a daemon thread, for async sources whose server is not async.

Made at first use and made again after a fork, which copies the loop but not its thread. Nothing is made at import.
"""

from __future__ import annotations

import asyncio
import os

from streamkit._engine.threads import running_loop, start_native_thread, under_gevent

# By the process that made them: a fork copies a loop but not its thread. What was copied is kept and never touched:
# thrown away, a loop would complain that nobody closed it.
_loops: dict[int, asyncio.AbstractEventLoop] = {}


def background_loop() -> asyncio.AbstractEventLoop:
    """Return the loop of this process, which runs or is about to, starting it when it is the first to be asked for.

    It is started under no lock: a thread that begins may run a finalizer, and that may want the loop.
    """
    pid = os.getpid()
    if pid not in _loops:
        made = _new_loop()
        if _loops.setdefault(pid, made) is made:
            try:
                start_native_thread(made.run_forever, "streamkit-loop")
            except BaseException:
                _loops.pop(pid).close()
                raise
        else:
            made.close()  # two threads at once agree on one
    return _loops[pid]


def _new_loop() -> asyncio.AbstractEventLoop:
    if under_gevent():
        from streamkit._engine._gevent import new_native_loop

        return new_native_loop()
    return asyncio.new_event_loop()


def on_background_loop() -> bool:
    """Tell whether the caller runs on the loop that streamkit keeps for this process."""
    loop = running_loop()
    return loop is not None and _loops.get(os.getpid()) is loop
