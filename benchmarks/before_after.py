"""Run each framework's own streaming without and with `StreamingMiddleware`, and write what happened into the docs.

    python -m benchmarks.before_after [FRAMEWORK ...]

Every framework is served by a real server: uvicorn, or gunicorn with threads. Every wait is bounded, so a hang shows as
the bound. Without arguments all frameworks run, in about five minutes, and docs/middleware.md gets the table.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.foreign_apps import APPS, WSGI
from tests.rig.http import HTTPStream
from tests.rig.servers import SERVERS, Server

PAGE = Path(__file__).parent.parent / "docs" / "middleware.md"
BEGIN, END = "<!-- begin: python -m benchmarks.before_after -->", "<!-- end -->"
HANGS = 8.0
"""Seconds after which a process that was told to end counts as hanging."""

EVENT_STREAM = {"Accept": "text/event-stream"}


@dataclass
class Served:
    """One framework's app in a server of its own."""

    server: Server
    marks: Path

    def open(self, path: str, **headers: str) -> HTTPStream:
        """Ask for `path` as a browser's EventSource would."""
        return HTTPStream(self.server.port, path, headers={**EVENT_STREAM, **headers})

    def idle(self) -> HTTPStream:
        """Open the stream that has one event and then waits."""
        stream = self.open("/idle")
        stream.read_until(b"hello")
        return stream

    def marked(self, line: str, within: float) -> bool:
        """Wait until the app has written down `line`."""
        return until(lambda: line in self.marks.read_text(encoding="utf-8"), within)


@contextlib.contextmanager
def served(framework: str, *, wrapped: bool) -> Iterator[Served]:
    """Serve a framework's app."""
    kind = SERVERS["gunicorn-gthread" if framework in WSGI else "uvicorn-httptools"]
    with tempfile.TemporaryDirectory() as folder:
        marks = Path(folder) / "marks"
        marks.touch()
        environment = {"FOREIGN": framework, "WRAPPED": str(int(wrapped)), "MARKS": str(marks)}
        with Server(kind, "benchmarks.foreign_apps:app", environment=environment) as server:
            yield Served(server, marks)


def until(holds: Callable[[], bool], within: float) -> bool:
    """Wait until something holds; False when it did not within so many seconds."""
    end = time.monotonic() + within
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def sigterm(app: Served) -> str:
    """Tell how long the server takes to go while one idle stream is open, and whether the generator cleaned up."""
    stream = app.idle()
    begun = time.monotonic()
    os.kill(app.server.pid, signal.SIGTERM)
    gone = until(lambda: not app.server.alive, HANGS)
    took = time.monotonic() - begun
    stream.leave()
    if not gone:
        return f"hangs (over {HANGS:.0f} s)"
    return f"{took:.1f} s" if app.marked("cleaned up", 0.2) else f"{took:.1f} s, no cleanup"


def keepalive(app: Served) -> str:
    """Tell whether anything is sent in four seconds of silence."""
    return "silent" if app.idle().silent_for(4.0) else "kept alive"


def never_awaiting(app: Served) -> str:
    """Tell whether others are served after the client of a generator that never waits has left, and if that ends."""
    stream = app.open("/spin")
    stream.read_until(b"x")
    stream.leave()
    answered = is_answered(app)
    stopped = app.marked("stopped", 3.0)
    return f"{'served' if answered else 'frozen'}, {'stopped' if stopped else 'runs on'}"


def is_answered(app: Served) -> bool:
    """Tell whether an ordinary request is answered within two seconds."""
    try:
        return HTTPStream(app.server.port, "/ok").head(2.0).status == 200
    except (OSError, AssertionError):
        return False


def gzip(app: Served) -> str:
    """Tell what a browser that takes gzip sees of two events, before the second is made and at the end."""
    stream = app.open("/pair", **{"Accept-Encoding": "gzip"})
    packed = stream.head().get("content-encoding") == "gzip"
    early = decoded(stream.drain(0.7), packed=packed)
    whole = decoded(stream.read_to_end(), packed=packed)
    if b"2" not in whole:
        return "the first event only"
    return "as it comes" if b"1" in early else "held back to the end"


def decoded(body: bytes, *, packed: bool) -> bytes:
    """Return what a browser makes of `body`: of several gzip members it reads the first."""
    return zlib.decompressobj(31).decompress(body) if packed else body


def headers(app: Served) -> str:
    """Tell which of the headers are there that keep proxies from buffering and compressing."""
    head = app.open("/pair").head()
    found = ["no-transform"] if "no-transform" in (head.get("cache-control") or "") else []
    found += ["X-Accel-Buffering"] if head.get("x-accel-buffering") else []
    return ", ".join(found) or "none"


def head_request(app: Served) -> str:
    """Tell whether HEAD ends, by asking for something else on the same connection."""
    with socket.create_connection(("127.0.0.1", app.server.port), 3.0) as connection:
        connection.sendall(b"HEAD /idle HTTP/1.1\r\nHost: x\r\n\r\nGET /ok HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        try:
            while received.count(b"HTTP/1.1 ") < 2:
                received += (chunk := connection.recv(65536))
                if not chunk:
                    return "closes the connection"
        except TimeoutError:
            return "blocks the connection"
    return "ends"


SITUATIONS = {
    "SIGTERM with an idle stream": sigterm,
    "four seconds of silence": keepalive,
    "client of a generator that never awaits leaves": never_awaiting,
    "two events, app with gzip": gzip,
    "headers for proxies": headers,
    "HEAD": head_request,
}


def measure(framework: str) -> Iterator[list[str]]:
    """Yield one row for each situation: the framework, the situation, without and with."""
    for situation, look in SITUATIONS.items():
        cells = []
        for wrapped in (False, True):
            with served(framework, wrapped=wrapped) as app:
                try:
                    cells.append(look(app))
                except (AssertionError, OSError) as exc:
                    cells.append(f"fails: {type(exc).__name__}")
        yield [framework, situation, *cells]


def table(rows: list[list[str]]) -> str:
    """Write the rows as Markdown."""
    head = ["", "", "without", "with `StreamingMiddleware`"]
    lines = [head, ["---"] * len(head)]
    for before, row in zip([None, *rows], rows, strict=False):
        lines.append([row[0] if before is None or before[0] != row[0] else "", *row[1:]])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(frameworks: list[str]) -> None:
    """Measure, print, and write the page when nothing was left out."""
    rows = []
    for framework in frameworks or APPS:
        for row in measure(framework):
            rows.append(row)
            print(*row, sep=" | ", flush=True)
    if not frameworks:
        names = ("uvicorn", "gunicorn", "starlette", "fastapi", "sse-starlette", "litestar", "quart", "django", "flask")
        versions = ", ".join(f"{name} {version(name)}" for name in names)
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        text = f"{BEGIN}\n{table(rows)}\n\nMeasured with {versions}.\n{END}"
        PAGE.write_text(before + text + after, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
