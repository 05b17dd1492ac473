"""A server of the standard library that answers well, badly, or not at all, by path."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

LOGIN = b'<!doctype html><form><input name="user"><input type="password" name="password"></form>'


class Handler(BaseHTTPRequestHandler):
    """Answers GET by the method that carries the path's name."""

    protocol_version = "HTTP/1.1"
    server: OddServer

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        """Answer."""
        self.close_connection = True
        self.server.asked.append({name.lower(): value for name, value in self.headers.items()})
        answer: Callable[[], None] = getattr(self, urlsplit(self.path).path.strip("/").replace("-", "_"))
        with contextlib.suppress(OSError):  # the client has seen enough
            answer()

    def head(self, kind: str, status: int = 200, **fields: str) -> None:
        """Send a head; the body ends with the connection."""
        self.send_response(status)
        for name, value in {"Content-Type": kind, **fields, "Connection": "close"}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.flush()

    def write(self, data: bytes) -> None:
        """Send bytes at once."""
        self.wfile.write(data)
        self.wfile.flush()

    def wait(self, seconds: float) -> None:
        """Wait, unless the server ends."""
        self.server.over.wait(seconds)

    # Streams.

    def stream(self) -> None:
        """Send an event every 100 ms for two seconds."""
        self.head("text/event-stream")
        for count in range(20):
            self.write(b"data: %d\n\n" % count)
            self.wait(0.1)

    def endless(self) -> None:
        """Send events for as long as somebody reads."""
        self.head("text/event-stream")
        while not self.server.over.is_set():
            self.write(b"data: more\n\n")
            self.wait(0.02)

    def lines(self) -> None:
        """Send lines of JSON."""
        self.head("application/x-ndjson")
        for count in range(12):
            self.write(b'{"n": %d}\n' % count)
            self.wait(0.1)

    def late(self) -> None:
        """Keep everything for a while, as a buffer does."""
        self.wait(1.5)
        self.head("text/event-stream")
        self.write(b"".join(b"data: %d\n\n" % count for count in range(20)))

    def short(self) -> None:
        """Send all there is at once."""
        self.head("text/event-stream")
        self.write(b"data: 1\n\ndata: 2\n\ndata: 3\n\n")

    def resumed(self) -> None:
        """Send one event, and what follows to who names it; then say that it is over."""
        last = self.headers.get("Last-Event-ID")
        if last == "3":
            self.send_response(204)
            self.end_headers()
            return
        self.head("text/event-stream")
        self.write(b"retry: 10\nid: %d\nevent: count\ndata: \x1b[31mred\n\n" % (int(last or 0) + 1))

    def done(self) -> None:
        """Send two events, the second of the type `done`."""
        self.head("text/event-stream")
        self.write(b"data: one\ndata: more\n\nevent: done\ndata:\n\n")
        self.wait(30)

    # What is no stream.

    def page(self) -> None:
        """Send a page."""
        self.head("text/html; charset=utf-8")
        self.write(b"<!doctype html><p>Hello")

    def login(self) -> None:
        """Send a page with a password field."""
        self.head("text/html")
        self.write(LOGIN)

    def to_login(self) -> None:
        """Lead to a login."""
        self.head("text/plain", 302, Location="/login?next=/stream")

    def to_slash(self) -> None:
        """Lead to the address with a slash."""
        self.head("text/plain", 301, Location="/to-slash/")

    def missing(self) -> None:
        """Say that there is nothing."""
        self.head("text/plain", 404)

    def untyped(self) -> None:
        """Send events as plain text."""
        self.head("text/plain")
        self.write(b"data: 1\n\n")

    def download(self) -> None:
        """Send bytes without end."""
        self.head("application/octet-stream")
        while not self.server.over.is_set():
            self.write(bytes(65536))

    def drip(self) -> None:
        """Send bytes without end, slowly, as the type of no stream."""
        self.head("application/octet-stream")
        while not self.server.over.is_set():
            self.write(b"x")
            self.wait(0.05)

    def noise(self) -> None:
        """Send bytes without end that are called events."""
        self.head("text/event-stream")
        while not self.server.over.is_set():
            self.write(bytes(65536))

    def huge(self) -> None:
        """Send events of 10 MB."""
        self.head("text/event-stream")
        while not self.server.over.is_set():
            self.write(b"data: " + b"x" * 10_000_000 + b"\n\n")

    def silent(self) -> None:
        """Say nothing."""
        self.wait(60)

    def mute(self) -> None:
        """Send the head of a stream, and nothing more."""
        self.head("text/event-stream")
        self.wait(60)

    def garbage(self) -> None:
        """Send what is no HTTP."""
        self.write(b"\x00\x01\x02 hello\r\n\r\n")

    def nothing(self) -> None:
        """Close the connection."""

    def unasked(self) -> None:
        """Compress by what was not asked for."""
        self.head("text/event-stream", Content_Encoding="br")
        self.write(b"\x0b\x02\x80data")

    def broken_gzip(self) -> None:
        """Call gzip what is none."""
        self.head("text/event-stream", Content_Encoding="gzip")
        self.write(b"data: 1\n\n")

    def escapes(self) -> None:
        """Send what a terminal would obey."""
        self.head("text/\x1b[31mred")


class OddServer(ThreadingHTTPServer):
    """Serves Handler; `over` tells its threads to end, `asked` is the headers of each request."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.over = threading.Event()
        self.asked: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that leave."""


@contextmanager
def odd_server() -> Iterator[OddServer]:
    """Serve until the block ends."""
    server = OddServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join(5)
        server.server_close()
