"""Things for threads of the operating system to use and to share, also where gevent has replaced Python's own."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from contextvars import ContextVar

from streamkit._engine.threads import start_native_thread, under_gevent

_endings: ContextVar[list[Callable[[], object]]] = ContextVar("_endings")


def start_thread(run: Callable[[], object], name: str) -> None:
    """Start a daemon thread that may use a network: gevent's sockets work in it, and nothing of them is left."""
    start_native_thread((lambda: _run_and_leave(run)) if under_gevent() else run, name)


def _run_and_leave(run: Callable[[], object]) -> None:
    from streamkit.channels._gevent import leave_hub

    endings: list[Callable[[], object]] = []
    _endings.set(endings)  # a new thread has a context of its own
    try:
        run()
    finally:
        for end in endings:
            end()
        leave_hub()


def at_end(end: Callable[[], object]) -> None:
    """Call `end` when this thread ends, where gevent's sockets have to be closed before."""
    endings = _endings.get(None)
    if endings is not None:
        endings.append(end)


def new_local() -> threading.local:
    """Return a bag of attributes of which each thread has its own."""
    if under_gevent():
        from streamkit.channels._gevent import native_local

        return native_local()
    return threading.local()


def new_selector() -> selectors.BaseSelector:
    """Return a selector to wait with."""
    if under_gevent():
        from streamkit.channels._gevent import native_selector

        return native_selector()
    return selectors.DefaultSelector()


def new_pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets that any thread may use."""
    if under_gevent():
        from streamkit.channels._gevent import native_pair

        return native_pair()
    return socket.socketpair()
