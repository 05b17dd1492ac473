"""What the thread of a log needs that gevent has not replaced. The one file of this package that imports gevent."""

from __future__ import annotations

import _socket
import threading
from typing import TYPE_CHECKING, cast

import gevent
from gevent import monkey

if TYPE_CHECKING:
    from selectors import BaseSelector
    from socket import socket


def native_local() -> threading.local:
    """Return a bag of attributes of which each thread of the system has its own; its greenlets share them."""
    return cast(threading.local, monkey.get_original("_thread", "_local")())


def native_selector() -> BaseSelector:
    """Return a selector that waits in the system, not in gevent's hub."""
    return cast("BaseSelector", monkey.get_original("selectors", "DefaultSelector")())


def native_pair() -> tuple[socket, socket]:
    """Return two connected sockets that belong to no hub."""
    return cast("tuple[socket, socket]", _socket.socketpair())


def leave_hub() -> None:
    """Destroy the hub of the calling thread, which gevent's sockets have made there: it would outlive the thread."""
    gevent.get_hub().destroy(destroy_loop=True)
