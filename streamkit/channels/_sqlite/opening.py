"""How the file of an `SQLiteLog` is opened, made, recognised, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

Identity = tuple[int, int]
"""Device and inode: which file it is, whatever it is called."""

APPLICATION = 0x53744B74
"""What PRAGMA application_id says in a file of ours: StKt."""

VERSION = 1
"""Of the schema, in PRAGMA user_version."""

# An id is never given twice, so that whoever has seen one finds all that are newer. Names and keys are bytes in UTF-8,
# which may hold NUL. `prior` is how many bytes the channel had been given before the entry, and `given` how many
# altogether: two of them tell what lies between. An entry is in the channel from `first` on.
_SCHEMA = """
CREATE TABLE channels (
    id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE,
    epoch INTEGER NOT NULL, "offset" INTEGER NOT NULL, tag INTEGER NOT NULL,
    sealed INTEGER NOT NULL, first INTEGER NOT NULL, given INTEGER NOT NULL, touched REAL NOT NULL);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, channel INTEGER NOT NULL,
    epoch INTEGER NOT NULL, "offset" INTEGER NOT NULL, tag INTEGER NOT NULL, prev INTEGER NOT NULL,
    prior INTEGER NOT NULL, sealed INTEGER NOT NULL, key BLOB, payload BLOB);
CREATE UNIQUE INDEX entries_by_offset ON entries (channel, "offset");
CREATE UNIQUE INDEX entries_by_key ON entries (channel, key) WHERE key IS NOT NULL;
CREATE TABLE leases (name BLOB PRIMARY KEY, owner BLOB NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
"""


class WrongFileError(sqlite3.DatabaseError):
    """A database that is not a log, or one of a later version."""


def open_file(path: str, timeout: float) -> sqlite3.Connection:
    """Return a connection to a log's file, made if it is not there.

    Raises:
        sqlite3.Error: It cannot be opened, or is something else.
    """
    # Transactions are begun by hand: the module's own ways to begin them differ between Python 3.11 and 3.12.
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        _set_up(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection, path: str) -> None:
    if not _is_log(connection):
        with alone_in(os.path.dirname(path)):  # SQLite does not wait for others that switch to WAL at the same time
            _make(connection)
    # The disk is waited for at checkpoints alone. A power cut may take the last commits, never what was before them.
    connection.execute("PRAGMA synchronous = NORMAL")


def _is_log(connection: sqlite3.Connection) -> bool:
    """Tell whether a file is a log already; False where it is empty."""
    with transaction(connection, "DEFERRED"):  # another process may make it at this moment
        application, version = pragma(connection, "application_id"), pragma(connection, "user_version")
        empty = connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None
    if application == APPLICATION and version != VERSION:
        raise WrongFileError(
            f"the file has schema version {version}, and this streamkit knows version {VERSION}; update streamkit, or"
            " give the log another path"
        )
    if application != APPLICATION and (application or version or not empty):
        raise WrongFileError("the file is a database of something else; give the log a file of its own")
    return application == APPLICATION and pragma(connection, "journal_mode") == "wal"


def _make(connection: sqlite3.Connection) -> None:
    mode = pragma(connection, "journal_mode = WAL")
    if mode != "wal":
        raise WrongFileError(f"its file system does not take SQLite's write-ahead log (journal_mode is {mode!r})")
    with transaction(connection, "IMMEDIATE"):
        if pragma(connection, "user_version") == 0:  # else another process was first
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")


def pragma(connection: sqlite3.Connection, text: str) -> object:
    """Return what a PRAGMA says."""
    return connection.execute(f"PRAGMA {text}").fetchone()[0]


@contextmanager
def transaction(connection: sqlite3.Connection, mode: str) -> Iterator[None]:
    """Do all or nothing: IMMEDIATE to write, DEFERRED to read at one moment."""
    connection.execute(f"BEGIN {mode}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite has rolled it back by itself after some errors
            connection.execute("ROLLBACK")
        raise


def identity(path: str) -> Identity | None:
    """Return which file is at a path; None where there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def alone_in(directory: str) -> Iterator[None]:
    """Let one process at a time do what SQLite has no lock for; not on Windows, where an open file cannot be replaced.

    The directory is locked and not the file: to close a file that SQLite has open too takes SQLite's locks away.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def explain(error: sqlite3.Error | OSError, path: str, timeout: float) -> str:
    """Say what an error means to whoever has to cure it."""
    if isinstance(error, OSError | WrongFileError):
        return str(error)
    name = getattr(error, "sqlite_errorname", "")
    for start, meaning in _MEANINGS.items():
        if name.startswith(start):
            return f"{meaning.format(timeout=timeout)} ({name}: {error})"
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
        return f"{_why_closed(path)} ({name}: {error})"
    return f"{error} ({name})" if name else str(error)


_MEANINGS = {
    "SQLITE_BUSY": "another process has kept the file locked for {timeout:g} s",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_NOTADB": "the file is no SQLite database",
    "SQLITE_CORRUPT": "the file is damaged; restore it, or delete it with what is beside it as -wal and -shm",
}


def _why_closed(path: str) -> str:
    directory = os.path.dirname(path)
    if os.path.isdir(path):
        return "the path is a directory"
    if not os.path.isdir(directory):
        return f"there is no directory {directory}"
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return (
            f"this process may not write in the directory {directory}, and SQLite keeps two more files beside its own"
        )
    return "this process may not open the file for writing"
