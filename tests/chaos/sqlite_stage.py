"""gunicorn with four workers, and a file that they share with the publisher."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import psutil

from tests.chaos.stage import Stage
from tests.rig.servers import ServerKind

WORKERS = 4

_GUNICORN = f"gunicorn --bind 127.0.0.1:{{port}} --workers {WORKERS} --no-control-socket {{app}} --worker-class "

ASGI = (
    ServerKind("gunicorn-uvicorn", "asgi", f"{_GUNICORN} uvicorn.workers.UvicornWorker", ("gunicorn", "uvicorn")),
    "tests.rig.apps.numbers:app",
)
WSGI = (
    # The clients of a worker that is killed all come to the others.
    ServerKind("gunicorn-gthread", "wsgi", f"{_GUNICORN} gthread --threads 200", ("gunicorn",)),
    "tests.rig.apps.numbers:wsgi",
)


class SQLiteStage(Stage):
    """Kill workers; restore, replace, remove and lock the file.

    Args:
        seed: Of what is drawn.
        home: A directory for the file and its copies.
        served: How it is served, and what.
    """

    def __init__(self, seed: int, home: Path, served: tuple[ServerKind, str] = ASGI) -> None:
        super().__init__(seed)
        self._path, self._home, self._served = home / "log.db", home, served
        self._copies: list[Path] = []

    def begin(self) -> None:
        """Start gunicorn; the file is made by whoever needs it first."""
        self.log = self.publisher_log = str(self._path)
        self._server = self.serve(*self._served)
        self._ends.callback(self.retire, self._server)
        self.port = self._server.port
        self.servers = {
            "worker killed": lambda: self._kill(self.server_dice.sample(self._workers(), 1)),
            "all workers killed": lambda: self._kill(self._workers()),
        }
        self.disasters = {
            "file restored in place": self._restore,
            "file replaced by an older copy": self._replace,
            "file removed": self._remove,
            "file locked": self._lock,
        }

    def remember(self) -> None:
        """Copy the file as SQLite would have it copied."""
        copy = self._home / f"copy-{len(self._copies)}.db"
        with closing(_connect(self._path)) as source, closing(_connect(copy)) as target:
            source.backup(target)
        self._copies.append(copy)

    # -- workers -------------------------------------------------------------------------------------------------

    def _workers(self) -> list[psutil.Process]:
        return psutil.Process(self._server.pid).children()

    def _kill(self, workers: list[psutil.Process]) -> None:
        for worker in workers:
            worker.kill()
        until = time.monotonic() + 15.0
        while len(self._workers()) < WORKERS or any(worker.is_running() for worker in workers):
            assert time.monotonic() < until, f"gunicorn does not start its workers again:\n{self._server.log()}"
            time.sleep(0.05)

    # -- the file ------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        self.rollbacks += 1
        with closing(_connect(self.log_dice.choice(self._copies))) as source, closing(_connect(self._path)) as target:
            source.backup(target)

    def _replace(self) -> None:
        self.rollbacks += 1
        new = self._home / "new.db"
        new.write_bytes(self.log_dice.choice(self._copies).read_bytes())
        self._remove_beside()
        os.replace(new, self._path)

    def _remove(self) -> None:
        self.rollbacks += 1
        self._remove_beside()
        self._path.unlink(missing_ok=True)

    def _remove_beside(self) -> None:
        """Remove what SQLite keeps beside the file, in this order: a worker that starts now must not find it."""
        for suffix in ("-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)

    def _lock(self) -> None:
        with closing(_connect(self._path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(self.log_dice.uniform(0.5, 3.0))
            connection.execute("ROLLBACK")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=10.0, isolation_level=None)
