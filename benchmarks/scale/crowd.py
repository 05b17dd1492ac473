"""Clients that only read: many connections to one server, opened one after the other and read together."""

from __future__ import annotations

import resource
import select
import socket
import time
from collections.abc import Callable, Iterable

Client = tuple[str, str | None]
"""A path, and the last event ID that the client has."""


def raise_limit_of_files() -> None:
    """Allow this process as many connections as it may have."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def request(path: str, last_id: str | None) -> bytes:
    """Return the request of an EventSource."""
    last = "" if last_id is None else f"Last-Event-ID: {last_id}\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{last}\r\n".encode()


class Crowd:
    """Connections to one server; a context manager that closes them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets: dict[int, socket.socket] = {}
        self._poll = select.epoll()

    def grow(self, clients: Iterable[Client]) -> bytes:
        """Open a connection for each, and wait for its head; return what came behind all the heads."""
        bodies = bytearray()
        for path, last_id in clients:
            connection = socket.create_connection(("127.0.0.1", self._port), 30)
            connection.sendall(request(path, last_id))
            received = b""
            while b"\r\n\r\n" not in received:
                if not (piece := connection.recv(65_536)):
                    raise RuntimeError(f"{path} ended at once: {received!r}")
                received += piece
            bodies += received.partition(b"\r\n\r\n")[2]
            connection.setblocking(False)
            self._sockets[connection.fileno()] = connection
            self._poll.register(connection.fileno(), select.EPOLLIN)
        return bytes(bodies)

    def read(self, seconds: float, count: Callable[[bytes], int] = len, wanted: int | None = None) -> int:
        """Read for so long, or until as many came as are wanted; return how many that were, bytes by default.

        Raises:
            RuntimeError: Less came, or a stream has ended.
        """
        end, found = time.monotonic() + seconds, 0
        while (left := end - time.monotonic()) > 0 and (wanted is None or found < wanted):
            for file, _ in self._poll.poll(left):
                if not (piece := self._sockets[file].recv(65_536)):
                    raise RuntimeError("a stream has ended, which never ends by itself")
                found += count(piece)
        if wanted is not None and found < wanted:
            raise RuntimeError(f"{found} came within {seconds} s, and {wanted} were to")
        return found

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._sockets.values():
            connection.close()
        self._poll.close()
