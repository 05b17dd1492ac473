"""Start real servers as subprocesses and end them again.

Each entry of SERVERS is one way that people serve an application, as close to its defaults as one worker process
allows. A server runs in a process group of its own, on 127.0.0.1, with what it logs in a file; starting and ending are
bounded, and the whole group is ended by its id, so that no worker is left behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import psutil

from tests.rig.http import HTTPStream
from tests.rig.recorder import JOURNAL
from tests.rig.sidedoor import ADDRESS, OWNER, SideDoor
from tests.rig.stream import Stalled

ROOT = Path(__file__).resolve().parents[2]

Interface = Literal["asgi", "wsgi"]

UNMEASURED = {"COVERAGE_PROCESS_CONFIG": "", "COVERAGE_PROCESS_START": ""}
"""The environment of a process whose coverage is not measured."""


@dataclass(frozen=True)
class ServerKind:
    """One way to serve: the command after `python -m`, with {port} and {app} to fill in.

    `one_at_a_time` says that an open stream keeps every other request waiting.
    """

    name: str
    interface: Interface
    command: str
    parts: tuple[str, ...]
    one_at_a_time: bool = False


_UVICORN = "uvicorn {app} --host 127.0.0.1 --port {port} --no-access-log"
_GRANIAN = "granian --host 127.0.0.1 --port {port} --workers 1 --log-level info"
_GUNICORN = "gunicorn --bind 127.0.0.1:{port} --workers 1 --no-control-socket"

SERVERS = {
    kind.name: kind
    for kind in (
        ServerKind(
            "uvicorn-httptools",
            "asgi",
            f"{_UVICORN} --http httptools --loop uvloop",
            ("uvicorn", "httptools", "uvloop"),
        ),
        ServerKind("uvicorn-h11", "asgi", f"{_UVICORN} --http h11 --loop asyncio", ("uvicorn",)),
        ServerKind("granian-asgi", "asgi", f"{_GRANIAN} --interface asgi {{app}}", ("granian",)),
        ServerKind("hypercorn", "asgi", "hypercorn --bind 127.0.0.1:{port} {app}", ("hypercorn",)),
        ServerKind("daphne", "asgi", "daphne -b 127.0.0.1 -p {port} {app}", ("daphne",)),
        ServerKind(
            "granian-wsgi",
            "wsgi",
            f"{_GRANIAN} --interface wsgi --blocking-threads 16 {{app}}",
            ("granian",),
        ),
        ServerKind(
            "gunicorn-sync", "wsgi", f"{_GUNICORN} --worker-class sync {{app}}", ("gunicorn",), one_at_a_time=True
        ),
        ServerKind(
            "gunicorn-gthread", "wsgi", f"{_GUNICORN} --worker-class gthread --threads 16 {{app}}", ("gunicorn",)
        ),
        ServerKind("gunicorn-gevent", "wsgi", f"{_GUNICORN} --worker-class gevent {{app}}", ("gunicorn", "gevent")),
        ServerKind("waitress", "wsgi", "waitress --listen=127.0.0.1:{port} --threads=16 {app}", ("waitress",)),
        ServerKind("werkzeug", "wsgi", "tests.rig.serve_werkzeug {app} {port}", ("werkzeug",)),
        ServerKind(
            "gunicorn-uvicorn",
            "asgi",
            f"{_GUNICORN} --worker-class uvicorn.workers.UvicornWorker {{app}}",
            ("gunicorn", "uvicorn"),
        ),
    )
}


class ServerFailed(RuntimeError):
    """The server did not come up; the text is what it logged."""


def free_port() -> int:
    """Return a port that nothing listens on, below the range from which clients get theirs."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """A running server; a context manager that ends it.

    Args:
        kind: an entry of SERVERS.
        app: "module:name" below the repository root.
        start_within: seconds from start until it must accept and have loaded the application.
        environment: more variables of it.
        port: where it listens, when that is to be where another one did.
    """

    def __init__(
        self,
        kind: ServerKind,
        app: str,
        *,
        start_within: float = 20.0,
        environment: dict[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.kind = kind
        self.port = port or free_port()
        self._home = Path(tempfile.mkdtemp(prefix="rig-"))
        self._log = self._home / "log"
        self.side_door = SideDoor(str(self._home / "door"))
        command = kind.command.format(port=self.port, app=app).split()
        settings = {
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            ADDRESS: str(self._home / "door"),
            OWNER: str(os.getpid()),
            JOURNAL: str(self._home / "journal"),
            **(UNMEASURED if "gevent" in kind.parts else {}),
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env={**os.environ, **settings, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_until_up(start_within)
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process that was started; its workers may be children of it."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process that was started still runs."""
        return self._process.poll() is None

    def log(self) -> str:
        """Return what the server has written to stdout and stderr."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def journal(self) -> list[dict[str, Any]]:
        """Return the records of the streams that were closed, in any process of the server, also when it is gone."""
        path = self._home / "journal"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to the process that was started, and to it alone; or to the whole group, as a terminal does."""
        if group:
            self._signal(number)
        else:
            self._process.send_signal(number)

    def wait_for_log(self, wanted: str, within: float = 5.0) -> None:
        """Wait until the server has written `wanted`."""
        until = time.monotonic() + within
        while wanted not in self.log():
            if time.monotonic() > until:
                raise Stalled(f"{self.kind.name} did not log {wanted!r} within {within} s:\n{self.log()}")
            time.sleep(0.02)

    def wait_until_gone(self, within: float) -> float:
        """Wait until no process of the group runs; return the seconds that took."""
        begun = time.monotonic()
        while self._group():
            if time.monotonic() - begun > within:
                raise Stalled(f"{self.kind.name} still runs after {within} s, as {self._group()}:\n{self.log()}")
            time.sleep(0.02)
        return time.monotonic() - begun

    def _group(self) -> list[str]:
        """Return the processes of the group that run, those aside that only wait for their exit to be noticed."""
        self._process.poll()
        found = []
        for process in psutil.process_iter(["name", "status"]):
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(process.pid) == self._process.pid and process.info["status"] != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.info['name']} {process.pid}")
        return found

    def open(self, target: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> HTTPStream:
        """Send a request on a connection of its own."""
        return HTTPStream(self.port, target, method=method, headers=headers)

    def stop(self, within: float = 3.0) -> None:
        """End the process group: SIGTERM, and SIGKILL to what is left after `within` seconds."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(within)
        self._signal(signal.SIGKILL)
        self._process.wait(5.0)
        shutil.rmtree(self._home, ignore_errors=True)

    def _signal(self, number: int) -> None:
        # The group outlives its leader as long as a worker lives, so this reaches orphans too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _wait_until_up(self, within: float) -> None:
        until = time.monotonic() + within
        while not self._is_up():
            if self._process.poll() is not None:
                raise ServerFailed(f"{self.kind.name} ended at once ({self._process.returncode}):\n{self.log()}")
            if time.monotonic() > until:
                raise ServerFailed(f"{self.kind.name} is not up after {within} s:\n{self.log()}")
            time.sleep(0.05)

    def _is_up(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1.0).close()
            self.side_door.ask("pid")
        except OSError:
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
