"""Hear of a shutdown from the signal that tells the server.

No server tells a running request that it wants to stop; it waits for the request to end. So the handler that the server
has installed is wrapped by one that first tells the streams. The server's own does what it always did. Nothing is
installed where no server has: a process that dies at once needs no help.
"""

from __future__ import annotations

import _thread
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from streamkit._engine.register import drain, register

# SIGQUIT is how gunicorn's arbiter hands a SIGINT on to its workers.
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGQUIT") if hasattr(signal, name)]


class Chained:
    """Tells the streams, then calls the handler that was there before."""

    def __init__(self, before: Callable[[int, FrameType | None], Any]) -> None:
        self.before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self.before, name)  # libraries find the server by the `__self__` of its handler

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Run between two instructions of the main thread, which may hold any lock: so the work goes to a thread."""
        mine = register()
        # A second SIGTERM is nobody who insists: systemd tells the workers, and so does their parent whom it tells too.
        insists, mine.leaving = mine.leaving and signum != signal.SIGTERM, True
        with suppress(RuntimeError):  # no thread can be had; the server must hear of the signal all the same
            _thread.start_new_thread(_end_all if insists else drain, ())
        self.before(signum, frame)


def _end_all() -> None:
    for life in register().all_open():
        life.end("drained")


def drain_on_signals() -> None:
    """Have this process's streams end when its server gets SIGTERM or SIGINT; a further SIGINT ends them at once.

    Called for you when a stream starts, a middleware is built or an adapter for WSGI is imported in the main thread,
    where alone Python lets a handler be set. By hand it is needed where all that happens before the server sets its own
    handlers: in gunicorn's `post_worker_init` with `--preload`. Elsewhere than in the main thread it does nothing.
    """
    for signum in SIGNALS:
        before = signal.getsignal(signum)
        if callable(before) and not (isinstance(before, Chained) or _ends_all_at_once(before)):
            try:
                signal.signal(signum, Chained(before))
            except ValueError:  # not the main thread
                return


def _ends_all_at_once(handler: object) -> bool:
    """Tell whether `handler` is Python's own: KeyboardInterrupt, or what `asyncio.run` makes of it.

    The latter is taken away at the end of `asyncio.run`, which does so only if it is still the one that is set.
    """
    asyncio = sys.modules.get("asyncio")
    runner = getattr(getattr(handler, "func", None), "__self__", None)
    return handler is signal.default_int_handler or (asyncio is not None and isinstance(runner, asyncio.Runner))
