"""A server that gives the answers of a list, one a connection, and keeps what it was asked.

It writes HTTP by hand, since what is tested is what happens when an answer is cut, held open, or none. After the last
answer it says 204, so that no reader that comes back once more runs for ever.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, TypeAlias

End = Literal["whole", "cut", "hold"]


@dataclass(frozen=True)
class Answer:
    """What is sent: a body in one chunk, then its end, a closed connection in mid-body, or nothing more."""

    body: bytes = b""
    end: End = "whole"
    kind: str = "text/event-stream"
    status: int = 200
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def bytes(self) -> bytes:
        """The head and the body, without its end."""
        fields = [*self.fields, *([("Content-Type", self.kind)] if self.kind else []), ("Connection", "close")]
        if self.status != 204:
            fields.append(("Transfer-Encoding", "chunked"))
        head = f"HTTP/1.1 {self.status} Said\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n"
        return head.encode() + (b"%x\r\n%b\r\n" % (len(self.body), self.body) if self.body else b"")


OVER = Answer(status=204, kind="")


@dataclass(frozen=True)
class Asked:
    """A request as it came; names of headers in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def position(self) -> str | None:
        """The last event ID."""
        return self.headers.get("last-event-id")


Script: TypeAlias = "Answer | Callable[[Asked], Answer]"


class ScriptedServer:
    """A context manager that listens on a free port of the loopback.

    Attributes:
        url: The address of the stream.
        asked: The requests, in the order in which they came.
        left: Set once a client has closed a connection that was held open for it.
    """

    def __init__(self, *script: Script) -> None:
        self._script = list(script)
        self.asked: list[Asked] = []
        self.left = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/stream"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def positions(self) -> list[str | None]:
        """The last event ID of each request."""
        return [asked.position for asked in self.asked]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it was shut down
            while True:
                caller, _ = self._listener.accept()
                caller.settimeout(20)
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError):
            asked = _read(caller)
            self.asked.append(asked)
            script = self._script.pop(0) if self._script else OVER
            answer = script(asked) if callable(script) else script
            caller.sendall(answer.bytes)
            if answer.end == "whole" and answer.status != 204:
                caller.sendall(b"0\r\n\r\n")
            elif answer.end == "hold":
                with contextlib.suppress(ConnectionResetError):
                    caller.recv(1)
                self.left.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()


def _read(caller: socket.socket) -> Asked:
    received = b""
    while b"\r\n\r\n" not in received:
        if not (more := caller.recv(65536)):
            raise ConnectionResetError
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += caller.recv(65536)
    method, target, _ = first.split(" ")
    return Asked(method, target, headers, body)
