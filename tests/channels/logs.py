"""The kinds of log that the contract suite runs over: how each is made, shared, lost and rolled back.

A *store* is what outlives a handle: a file, a server, or nothing. Another kind is one more class here, and one more
entry in the lists below.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from streamkit.channels import Log, MemoryLog, SQLiteLog
from streamkit.channels._entry import Entry


class Time:
    """A clock that the test sets: called as `time.time` is."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds


class Store:
    """Where the log of one test is kept.

    Attributes:
        log: The first handle.
        now: The clock of all handles.
    """

    name: ClassVar[str]

    def __init__(self, directory: Path, now: Callable[[], float] | None = None, **limits: Any) -> None:
        self.now = now or Time()
        self._directory, self._limits = directory, limits
        self._opened: list[Log] = []
        self.log = self.open()

    def open(self) -> Log:
        """Return a new handle, which knows nothing, as that of another process; only of a kind in SHARED."""
        log = self._make()
        self._opened.append(log)
        return log

    def code(self) -> str:
        """Return Python that opens the log by the system's clock, and whose imports are there; of a kind in SHARED."""
        raise NotImplementedError

    def lose(self) -> Log:
        """Lose what is stored, and return the handle to go on with."""
        raise NotImplementedError

    def snapshot(self) -> Callable[[], object]:
        """Return what restores the present state; of a kind in ROLLED_BACK."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of everything."""
        for log in self._opened:
            log.close()

    def _make(self) -> Log:
        raise NotImplementedError


class MemoryStore(Store):
    """Is nothing but the handle."""

    name = "memory"

    def _make(self) -> Log:
        return MemoryLog(now=self.now, **self._limits)

    def lose(self) -> Log:
        """Begin another process."""
        return self.open()


class SQLiteStore(Store):
    """Restores through SQLite's backup API, into the file that processes have open."""

    name = "sqlite"

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._directory / "log.db"

    def _make(self) -> Log:
        return SQLiteLog(self.path, now=self.now, **self._limits)

    def code(self) -> str:
        """Return an expression that needs no import."""
        return f"__import__('streamkit.channels', fromlist=['x']).SQLiteLog({str(self.path)!r}, **{self._limits!r})"

    def lose(self) -> Log:
        """Delete the file."""
        for path in self._directory.glob("log.db*"):
            path.unlink()
        return self.log

    def snapshot(self) -> Callable[[], object]:
        """Copy the file."""
        if not self.path.exists():
            return self.lose
        kept = self._directory / f"snapshot {len(list(self._directory.iterdir()))}"
        copy(self.path, kept)
        return lambda: self._restore(kept)

    def _restore(self, kept: Path) -> None:
        copy(kept, self.path)


class RenamedSQLiteStore(SQLiteStore):
    """Restores by removing what SQLite has beside the file, and renaming another to its path."""

    name = "sqlite-renamed"

    def _restore(self, kept: Path) -> None:
        fresh = self._directory / "fresh"
        shutil.copy(kept, fresh)
        for path in self._directory.glob("log.db-*"):
            path.unlink()
        os.replace(fresh, self.path)


STORES: dict[str, type[Store]] = {store.name: store for store in (MemoryStore, SQLiteStore, RenamedSQLiteStore)}

ALL = ["memory", "sqlite"]
SHARED = ["sqlite"]
"""Other processes have handles too, and what is stored survives a restart."""
ROLLED_BACK = ["sqlite", "sqlite-renamed"]
"""An earlier state can come back while processes go on."""


class Told:
    """What a watcher was told, and a way to wait for it."""

    def __init__(self) -> None:
        self.calls: list[list[bytes | None] | None] = []
        self._changed = threading.Condition()

    def __call__(self, entries: list[Entry] | None) -> None:
        """Take what a log tells."""
        with self._changed:
            self.calls.append(None if entries is None else [entry.payload for entry in entries])
            self._changed.notify_all()

    @property
    def payloads(self) -> list[bytes | None]:
        """All payloads that were told, in the order in which they were."""
        return [payload for call in self.calls for payload in call or ()]

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until what was told is as it should be; fail after ten seconds."""
        with self._changed:
            assert self._changed.wait_for(condition, 10), f"told {self.calls}"

    def wait_none(self, times: int = 1) -> None:
        """Wait until it was told to look for itself so many times."""
        self.wait(lambda: self.calls.count(None) >= times)


def copy(source: Path, target: Path) -> None:
    """Copy a database into another, as SQLite wants it done."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
