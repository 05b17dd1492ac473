"""Drive a WSGI application in process, through `wsgiref.validate`.

`WSGIHost` plays the server: a thread per request iterates the application, waits while the client does not read, and
calls close() exactly once, in that thread, whatever happened. The validator raises where PEP 3333 is broken. The head
leaves at the first item, an empty one too, as most servers have it.
"""

from __future__ import annotations

import io
import queue
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote
from wsgiref.validate import validator

from tests.rig.sidedoor import SideDoor
from tests.rig.stream import Head, Stream

if TYPE_CHECKING:
    from types import TracebackType
    from wsgiref.types import WSGIApplication

_HIGH_WATER = 65536


class _ClientLeft(Exception):
    """The write found the client gone."""


class WSGIStream(Stream):
    """One request to an application driven in process."""

    def __init__(self) -> None:
        super().__init__()
        self._events: queue.SimpleQueue[tuple[str, Any, float]] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._waiting = 0
        self._start: tuple[str, list[tuple[str, str]]] | None = None
        self.done = threading.Event()

    def leave(self, *, reset: bool = False) -> None:
        """Let the next write fail."""
        with self._changed:
            if self.left_at is None:
                self.left_at = time.monotonic()
                self._changed.notify_all()

    def _advance(self, within: float) -> bool:
        try:
            kind, value, at = self._events.get(timeout=within)
        except queue.Empty:
            return False
        if kind == "head":
            status, headers = value
            self._head = Head(int(status[:3]), tuple((name.lower(), text) for name, text in headers), at)
        elif kind == "body":
            self._arrived(value)
            with self._changed:
                self._waiting -= len(value)
                self._changed.notify_all()
        else:
            self.ending = value
        return True

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """Keep status and headers until the first item."""
        if self._start is not None and exc_info is None:
            raise AssertionError("start_response called twice")
        self._start = (status, headers)
        return self.write

    def write(self, data: bytes) -> None:
        """Pass an item on, as slowly as the client reads."""
        if self._start is not None and not self._sent_head:
            self._sent_head = True
            self._events.put(("head", self._start, time.monotonic()))
        with self._changed:
            if self.left_at is not None and data:
                raise _ClientLeft
            self._events.put(("body", data, time.monotonic()))
            self._waiting += len(data)
            while self._waiting >= _HIGH_WATER and self.left_at is None:
                self._changed.wait(1.0)

    _sent_head = False

    def run(self, app: WSGIApplication, environ: dict[str, Any]) -> None:
        """Iterate the application as a server would."""
        ending = "truncated"
        try:
            body = app(environ, self.start_response)
            try:
                for item in body:
                    self.write(item)
                self.write(b"")
                ending = "returned"
            finally:
                getattr(body, "close", lambda: None)()
        except _ClientLeft:
            pass
        except BaseException as error:
            self.error = error
        self._events.put(("end", ending, time.monotonic()))
        self.done.set()


class WSGIHost:
    """Play the server for one application, with a thread per request.

    Args:
        app: the application.
        multithread: what the environ says of the server.
    """

    def __init__(self, app: WSGIApplication, *, multithread: bool = True) -> None:
        self._app = validator(app)
        self._multithread = multithread
        self._streams: list[WSGIStream] = []
        self.side_door = SideDoor()

    def open(self, target: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> WSGIStream:
        """Start a request and return its stream at once."""
        stream = WSGIStream()
        path, _, query = target.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            # PEP 3333: text of the environ is bytes in latin-1's clothes.
            "PATH_INFO": unquote(path).encode().decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": "rig",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": self._multithread,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in {"Host": "rig", "Accept": "*/*", **(headers or {})}.items():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        self._streams.append(stream)
        threading.Thread(target=stream.run, args=(self._app, environ), name="rig-wsgi-host", daemon=True).start()
        return stream

    def log(self) -> str:
        """Return what a server would have logged: the errors that the application raised."""
        errors = [stream.error for stream in self._streams if stream.error is not None]
        return "".join(f"Traceback\n{type(error).__name__}: {error}\n" for error in errors)

    def stop(self) -> None:
        """Leave every stream and wait a moment for its thread."""
        for stream in self._streams:
            stream.leave()
        for stream in self._streams:
            stream.done.wait(2.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
