"""The client: raw sockets, read in large pieces, which are counted and not parsed.

`benchmarks.burst` reads one body of the same bytes in the same run, which shows how much quicker this reads than any
server sends.
"""

from __future__ import annotations

import re
import resource
import select
import socket
import time
from dataclasses import dataclass, field

MARK = b"~"
"""Stands once in every event, wherever a chunk may end."""

PIECE = 2**18
_STAMP = re.compile(rb"~(\d+\.\d{6}) ")


@dataclass(frozen=True)
class Reading:
    """What one response was: its events and bytes, and the seconds from the request to its end."""

    events: int
    size: int
    seconds: float

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds


def connect(port: int, path: str) -> socket.socket:
    """Send a request on a connection that ends with the response."""
    connection = socket.create_connection(("127.0.0.1", port), 60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    return connection


def read_to_end(port: int, path: str, expected: int) -> Reading:
    """Read one response of so many events.

    Raises:
        RuntimeError: It had fewer events, or more.
    """
    begun = time.perf_counter()
    events = size = 0
    buffer = bytearray(PIECE)
    with connect(port, path) as connection:
        while count := connection.recv_into(buffer):
            events += buffer.count(MARK, 0, count)
            size += count
    reading = Reading(events, size, time.perf_counter() - begun)
    if events != expected:
        raise RuntimeError(f"{path} had {events} events instead of {expected}")
    return reading


def answer_time(port: int, path: str) -> float:
    """Return the seconds until a response has come whole; infinite when there is none within two seconds."""
    begun = time.perf_counter()
    try:
        with connect(port, path) as connection:
            connection.settimeout(2)
            head = connection.recv(PIECE)
            while connection.recv(PIECE):
                pass
    except TimeoutError:
        return float("inf")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{path} was answered by {head!r}")
    return time.perf_counter() - begun


def raise_limit_of_files() -> int:
    """Allow this process as many connections as it may have; return how many."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


@dataclass
class Crowd:
    """Many connections to one path of one server, read together; a context manager that closes them."""

    port: int
    path: str
    sockets: dict[int, socket.socket] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._poll = select.epoll()

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self.sockets.values():
            connection.close()
        self._poll.close()

    def open(self, count: int, path: str | None = None) -> list[socket.socket]:
        """Open so many connections more, whether they are answered or not."""
        opened = []
        for _ in range(count):
            connection = connect(self.port, path or self.path)
            connection.setblocking(False)
            self.sockets[connection.fileno()] = connection
            self._poll.register(connection.fileno(), select.EPOLLIN)
            opened.append(connection)
        return opened

    def grow(self, count: int, path: str | None = None) -> None:
        """Open so many connections more, and wait until the body of each has begun."""
        for connection in self.open(count, path):
            connection.settimeout(60)
            received = b""
            while not received.partition(b"\r\n\r\n")[2]:
                if not (piece := connection.recv(65_536)):
                    raise RuntimeError(f"{path or self.path} ended at once: {received!r}")
                received += piece
            connection.setblocking(False)

    def until_all_have(self, wanted: bytes) -> None:
        """Read until every connection has had `wanted`."""
        missing = set(self.sockets)
        while missing:
            ready = self._poll.poll(30)
            if not ready:
                raise RuntimeError(f"{len(missing)} of {len(self.sockets)} clients did not get {wanted!r}")
            missing -= {file for file, _ in ready if wanted in self._received(file)}

    def lateness(self, seconds: float) -> list[float]:
        """Read for so long; return how late every event was that carries the moment it was due, in seconds."""
        end, found = time.monotonic() + seconds, list[float]()
        while (left := end - time.monotonic()) > 0:
            for file, _ in self._poll.poll(left):
                found += lateness(self._received(file), time.monotonic())
        return found

    def drain(self, seconds: float) -> int:
        """Read for so long; return how many bytes came."""
        end, size = time.monotonic() + seconds, 0
        while (left := end - time.monotonic()) > 0:
            size += sum(len(self._received(file)) for file, _ in self._poll.poll(left))
        return size

    def _received(self, file: int) -> bytes:
        piece = self.sockets[file].recv(65_536)
        if not piece:
            raise RuntimeError(f"a stream of {self.path} has ended, which never ends by itself")
        return piece


def lateness(piece: bytes, now: float) -> list[float]:
    """Return how many seconds before `now` each stamp in a piece was."""
    return [now - float(moment) for moment in _STAMP.findall(piece)]
