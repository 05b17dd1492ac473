"""A raw HTTP/1.1 client on one socket, which hides nothing.

It sees the head before any body, each piece when it arrives, and the difference between a body that ended and one
that was cut (RFC 9112 section 8). It can vanish by FIN or by RST, read slowly or not at all. One connection holds one
request. It takes what it needs from the bytes itself: a client library would buffer, decode or repair.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Mapping

from tests.rig.stream import Head, Stalled, Stream

_READ = 65536


class HTTPStream(Stream):
    """One request on a connection of its own, and its response as it arrives.

    Args:
        port: on 127.0.0.1.
        target: path and query.
        receive_buffer: bytes the kernel may hold for us; small to be a slow client soon.
    """

    def __init__(
        self,
        port: int,
        target: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        receive_buffer: int | None = None,
    ) -> None:
        super().__init__()
        self._method = method
        self._raw = b""
        self._left: int | None = None
        self._chunked = False
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(5.0)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fields = {"Host": f"127.0.0.1:{port}", "Accept": "*/*", **(headers or {})}
        if body:
            fields["Content-Length"] = str(len(body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._socket.sendall(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body)
        self.opened_at = time.monotonic()

    def leave(self, *, reset: bool = False) -> None:
        """Close the connection, by RST where asked (SO_LINGER of zero)."""
        if self.left_at is None:
            self.left_at = time.monotonic()
            if reset:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._socket.close()

    def leave_after_the_server(self, within: float) -> None:
        """Close the connection once the server has, as clients do that would use it again."""
        until = time.monotonic() + within
        self._socket.settimeout(within)
        try:
            while self._socket.recv(_READ):
                self._socket.settimeout(max(until - time.monotonic(), 0.001))
        except ConnectionError:
            pass
        except TimeoutError:
            raise Stalled(f"the server has kept the connection for {within} s: {self.describe()}") from None
        self.leave()

    def read_slowly(self, size: int, pause: float, times: int) -> int:
        """Take what is there, up to `size` bytes, off the socket every `pause` seconds; return how many came."""
        taken = 0
        for _ in range(times):
            time.sleep(pause)
            with contextlib.suppress(TimeoutError):
                taken += self._receive(size, 0.001)
        return taken

    def _advance(self, within: float) -> bool:
        try:
            self._receive(_READ, within)
        except TimeoutError:
            return False
        return True

    def _receive(self, size: int, within: float) -> int:
        self._socket.settimeout(max(within, 0.001))
        try:
            data = self._socket.recv(size)
        except (ConnectionResetError, BrokenPipeError):
            self.ending = "truncated"
            return 0
        if not data:
            self._end_of_file()
            return 0
        self._raw += data
        if self._head is None:
            self._parse_head()
        if self._head is not None:
            self._parse_body()
        return len(data)

    def _end_of_file(self) -> None:
        if self.ending == "open":
            delimited = self._head is not None and not self._chunked and self._left is None
            self.ending = "close" if delimited else "truncated"

    def _parse_head(self) -> None:
        block, found, rest = self._raw.partition(b"\r\n\r\n")
        if not found:
            return
        self._raw = rest
        first, *lines = block.decode("latin-1").split("\r\n")
        pairs = [line.partition(":") for line in lines]
        fields = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
        self._head = Head(int(first.split(" ")[1]), fields, time.monotonic())
        self._chunked = "chunked" in (self._head.get("transfer-encoding") or "").lower()
        length = self._head.get("content-length")
        # RFC 9112 section 6.3: no body for HEAD, 1xx, 204 and 304, whatever the headers say.
        if self._method == "HEAD" or self._head.status in (204, 304):
            self.ending = "length"
        elif not self._chunked and length is not None:
            self._left = int(length)

    def _parse_body(self) -> None:
        if self._method == "HEAD":
            # Bytes after the head of a HEAD response are a fault, which the test wants to see.
            self._arrived(self._take(len(self._raw)))
        elif self._chunked:
            while self.ending == "open" and self._parse_chunk():
                pass
        elif self._left is not None:
            data = self._take(min(self._left, len(self._raw)))
            self._left -= len(data)
            self._arrived(data)
            if self._left == 0:
                self.ending = "length"
        else:
            self._arrived(self._take(len(self._raw)))

    def _parse_chunk(self) -> bool:
        """Take one chunk or a part of one off the raw bytes; False where more must arrive first."""
        if self._left is None:
            line, found, rest = self._raw.partition(b"\r\n")
            if not found:
                return False
            size = int(line.split(b";")[0], 16)
            if size == 0:
                if not rest.startswith(b"\r\n"):
                    return False
                self._raw, self.ending = rest[2:], "chunk"
                return False
            self._raw, self._left = rest, size
        if self._left > 0:
            data = self._take(min(self._left, len(self._raw)))
            self._left -= len(data)
            self._arrived(data)
        if self._left == 0 and self._raw.startswith(b"\r\n"):
            self._raw, self._left = self._raw[2:], None
            return True
        return False

    def _take(self, size: int) -> bytes:
        data, self._raw = self._raw[:size], self._raw[size:]
        return data
