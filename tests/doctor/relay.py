"""A relay that does to a stream what proxies do: written for the tests, so that each mechanism stands alone.

It takes one request per connection, asks the upstream, and sends the answer on in chunks, through a `Hold`. It names
no product: with `strip` it takes out every header that could.
"""

from __future__ import annotations

import contextlib
import http.client
import queue
import socket
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

_READ = 65536
_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


class Hold:
    """Lets everything through; what a subclass keeps, it gives when the time is up, or at the end."""

    patience: float | None = None  # seconds after the first byte kept, when everything goes
    keeps_head = False  # until there is a byte of the body to send

    def take(self, data: bytes) -> bytes:
        """Take what came; return what goes on now."""
        return data

    def rest(self) -> bytes:
        """Return what was kept, as the time is up or the body at its end."""
        return b""


class Whole(Hold):
    """Stores the whole body."""

    keeps_head = True

    def __init__(self) -> None:
        self.kept = b""

    def take(self, data: bytes) -> bytes:
        """Keep it."""
        self.kept += data
        return b""

    def rest(self) -> bytes:
        """Return all of it."""
        kept, self.kept = self.kept, b""
        return kept


class Pieces(Whole):
    """Fills a buffer before it sends."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def take(self, data: bytes) -> bytes:
        """Return the full buffers."""
        self.kept += data
        full = len(self.kept) // self.size * self.size
        out, self.kept = self.kept[:full], self.kept[full:]
        return out


class Timer(Whole):
    """Waits some time for more, as a corked socket does."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.patience = seconds


class OneLate(Whole):
    """Sends what it had when the next comes."""

    def take(self, data: bytes) -> bytes:
        """Return what came before."""
        out, self.kept = self.kept, data
        return out


class Gzip(Hold):
    """Compresses, and flushes what comes or does not; from `least` bytes at once, if given."""

    def __init__(self, *, flush: bool = False, least: int = 0) -> None:
        self._zip = zlib.compressobj(wbits=31)
        self._flush, self._least = flush, least
        self.keeps_head = not (flush or least)

    def take(self, data: bytes) -> bytes:
        """Return what the compressor lets go."""
        flush = self._flush or len(data) < self._least
        return self._zip.compress(data) + (self._zip.flush(zlib.Z_SYNC_FLUSH) if flush else b"")

    def rest(self) -> bytes:
        """Return what is left in the compressor."""
        return self._zip.flush()


@dataclass
class Ways:
    """What the relay does.

    Args:
        hold: Makes the hold of one answer.
        obeys_accel: `X-Accel-Buffering: no` takes the hold away, and the relay eats the header.
        obeys_no_transform: So does `no-transform`.
        obeys_identity: So does a Content-Encoding.
        gzip: The hold compresses: for those who ask for it alone; with "hidden" it is for all, and unpacked again.
        head_waits: The head goes with the first byte of the body.
        cache: Answers by URL; "obedient" to no-cache, or not.
        idle: Seconds of silence after which it cuts.
        age: Seconds of an answer after which it cuts.
        clean: A cut looks like an end, ours and the upstream's.
        add: Headers that it adds.
        strip: Whether it takes out Server, Via and X-*.
    """

    hold: Callable[[], Hold] = Hold
    obeys_accel: bool = False
    obeys_no_transform: bool = False
    obeys_identity: bool = False
    gzip: bool | str = False
    head_waits: bool = False
    cache: str = ""
    idle: float | None = None
    age: float | None = None
    clean: bool = False
    add: dict[str, str] = field(default_factory=dict)
    strip: bool = False


class Cut(Exception):
    """The answer breaks off here."""


class Relay:
    """The relay, before a server on 127.0.0.1; a context manager."""

    def __init__(self, port: int, ways: Ways) -> None:
        self._upstream, self._ways = port, ways
        self._cache: dict[str, tuple[bytes, bytes]] = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as lines:
            target = lines.readline().split()[1].decode()
            fields = http.client.parse_headers(lines)
            if target in self._cache:
                client.sendall(b"".join(self._cache[target]))
                return
            upstream = http.client.HTTPConnection("127.0.0.1", self._upstream, timeout=60)
            try:
                upstream.request("GET", target, headers=dict(fields.items()))
                _Answer(self._ways, client, upstream.getresponse(), fields, self._keep(target)).run()
                _shut(client)
            except (OSError, Cut):
                _shut(client)
            finally:
                upstream.close()  # waits for the thread that reads there

    def _keep(self, target: str) -> Callable[[bytes, bytes], None]:
        return lambda head, body: self._cache.__setitem__(target, (head, body))


def _shut(client: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may have left
        client.shutdown(socket.SHUT_RDWR)


class _Answer:
    """One answer on its way."""

    def __init__(
        self,
        ways: Ways,
        client: socket.socket,
        response: http.client.HTTPResponse,
        asked: http.client.HTTPMessage,
        keep: Callable[[bytes, bytes], None],
    ) -> None:
        self._ways, self._client, self._response, self._keep = ways, client, response, keep
        control = response.getheader("Cache-Control", "")
        self._cached = bool(ways.cache) and not (ways.cache == "obedient" and "no-cache" in control)
        wants = bool(ways.gzip == "hidden" or not ways.gzip or "gzip" in asked.get("Accept-Encoding", ""))
        is_stream = "json" not in response.getheader("Content-Type", "json").replace("x-ndjson", "")
        free = (
            (ways.obeys_accel and response.getheader("X-Accel-Buffering") == "no")
            or (ways.obeys_no_transform and "no-transform" in control)
            or (ways.obeys_identity and response.getheader("Content-Encoding"))
        )
        held = wants and is_stream and not free
        self._hold = ways.hold() if held else Hold()
        self._unzip = zlib.decompressobj(31) if held and ways.gzip == "hidden" else None
        self._head = self._write_head(zipped=held and ways.gzip is True)
        self._sent_head = False
        self._body = b""
        self._begun = time.monotonic()

    def _write_head(self, *, zipped: bool) -> bytes:
        pairs = [(name, value) for name, value in self._response.getheaders() if name.lower() not in _HOP]
        pairs += [*self._ways.add.items(), ("Connection", "close"), ("Transfer-Encoding", "chunked")]
        if zipped:
            pairs.append(("Content-Encoding", "gzip"))
        if self._ways.obeys_accel:
            pairs = [pair for pair in pairs if pair[0].lower() != "x-accel-buffering"]
        if self._ways.strip:
            pairs = [pair for pair in pairs if not pair[0].lower().startswith(("server", "via", "x-"))]
        lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
        return f"HTTP/1.1 {self._response.status} {self._response.reason}\r\n{lines}\r\n".encode("latin-1")

    def run(self) -> None:
        """Send the answer on until it ends, or is cut."""
        if not self._ways.head_waits and not self._hold.keeps_head:
            self._send(b"")
        pieces: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=self._read, args=(pieces,), daemon=True).start()
        whole = self._pump(pieces)
        self._send(self._unpacked(self._hold.rest()))
        if not whole and not self._ways.clean:
            raise Cut
        self._raw(b"0\r\n\r\n")
        if self._cached:
            self._keep(self._head, self._body)

    def _read(self, pieces: queue.Queue[bytes | None]) -> None:
        try:
            while data := self._response.read1(_READ):
                pieces.put(data)
            pieces.put(b"")
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pieces.put(None)

    def _pump(self, pieces: queue.Queue[bytes | None]) -> bool:
        """Send on what comes; return whether the body came to its end."""
        kept_since: float | None = None
        heard = time.monotonic()
        while True:
            now = time.monotonic()
            due = [self._begun + self._ways.age] if self._ways.age else []
            due += [heard + self._ways.idle] if self._ways.idle else []
            if self._hold.patience and kept_since is not None:
                due.append(kept_since + self._hold.patience)
            try:
                data = pieces.get(timeout=max(0.0, min([*due, now + 30]) - now))
            except queue.Empty:
                if kept_since is None or self._hold.patience is None:
                    return False
                self._send(self._unpacked(self._hold.rest()))
                kept_since = None
                continue
            if not data:
                return data is not None
            heard = time.monotonic()
            kept_since = kept_since or heard
            self._send(self._unpacked(self._hold.take(data)))

    def _unpacked(self, data: bytes) -> bytes:
        return data if self._unzip is None else self._unzip.decompress(data)

    def _send(self, data: bytes) -> None:
        if not self._sent_head and (data or not self._ways.head_waits):
            self._sent_head = True
            self._client.sendall(self._head)
        if data:
            self._raw(b"%x\r\n%b\r\n" % (len(data), data))

    def _raw(self, data: bytes) -> None:
        self._body += data
        self._client.sendall(data)
