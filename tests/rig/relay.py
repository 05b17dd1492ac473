"""A TCP relay between a client and a server, which can lose what it carries, stop, cut, or lead elsewhere."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable
from typing import Self

Edit = Callable[[bytes], bytes]


class Relay:
    """Carries bytes between whoever connects to `port` and 127.0.0.1:`target`; a context manager that ends it.

    Attributes:
        target: The port that later connections are carried to.
        reply: What becomes of bytes from the server; returning b"" loses them.
        frozen: Carry nothing, and keep the connections.
    """

    def __init__(self, target: int, *, reply: Edit = bytes) -> None:
        self.target, self.reply, self.frozen = target, reply, False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._other: dict[socket.socket, socket.socket] = {}
        self._from_server: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="rig-relay", daemon=True)
        self._thread.start()

    @property
    def connections(self) -> int:
        """How many are open."""
        with self._lock:
            return len(self._from_server)

    def cut(self) -> None:
        """Close all connections."""
        with self._lock:
            for side in list(self._from_server):
                self._close(side)

    def lead_to(self, target: int) -> None:
        """Carry everybody to another server."""
        self.target = target
        self.cut()

    def _run(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select(0.02):
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif not self.frozen:
                        self._carry(key.fileobj)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self.target), 5.0)
        except OSError:
            client.close()
            return
        self._other |= {client: server, server: client}
        self._from_server.add(server)
        for side in (client, server):
            side.settimeout(5.0)
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(side, selectors.EVENT_READ)

    def _carry(self, side: object) -> None:
        if not isinstance(side, socket.socket) or side not in self._other:
            return
        try:
            data = side.recv(65536)
            if data and side in self._from_server:
                data = self.reply(data) or None  # type: ignore[assignment]
            if data:
                self._other[side].sendall(data)
        except OSError:
            data = b""
        if data == b"":
            self._close(side)

    def _close(self, side: socket.socket) -> None:
        for one in (side, self._other[side]):
            with contextlib.suppress(KeyError):
                self._selector.unregister(one)
            self._other.pop(one, None)
            self._from_server.discard(one)
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join(5.0)
        self.cut()
        self._selector.close()
        self._listener.close()
