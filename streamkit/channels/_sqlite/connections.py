"""Connections to the file of an `SQLiteLog`: each used by one thread at a time, and none across a fork.

SQLite forbids two things, and both happen. A process that forks must not have the file open: parent and child would
each believe that they hold the locks of the other. So all connections are closed just before, and opened again at need.
And a file that another was put in the place of, or that was deleted, must not be gone on with: each use looks whether
the path still leads to the file that is open, and opens everything anew where it does not.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from weakref import ref

from streamkit._engine.register import logger
from streamkit._engine.threads import new_latch, new_lock
from streamkit.channels._sqlite.opening import Identity, alone_in, explain, identity, open_file
from streamkit.errors import LogUnavailableError

_BESIDE = ("-wal", "-shm")


@dataclass(slots=True, eq=False)
class _Slot:
    """One connection. Whoever has acquired `busy` may use it; once it is `stale` nobody does who has not yet.

    Attributes:
        file: Which file was opened.
        beside: Which files SQLite then had beside it, by suffix.
    """

    connection: sqlite3.Connection = field(init=False)
    file: Identity | None = None
    beside: dict[str, Identity | None] = field(default_factory=dict)
    busy: threading.Lock = field(default_factory=new_latch)
    stale: bool = False

    def open(self, path: str, timeout: float) -> None:
        # If another file is put there meanwhile, the next use sees that it is not the one from before.
        before = identity(path)
        self.connection = open_file(path, timeout)
        self.file = before or identity(path)
        self.beside = {suffix: identity(path + suffix) for suffix in _BESIDE}

    def give_back(self) -> None:
        self.busy.release()
        if self.stale:
            self.close_once_free()

    def close_once_free(self) -> None:
        """Close it, or have whoever uses it do so."""
        self.stale = True
        if self.busy.acquire(blocking=False):
            self.close()

    def close(self) -> None:
        """Close the connection, never while another thread forks."""
        with no_fork:
            self.connection.close()


class Connections:
    """The connections of one process to one file.

    Args:
        path: Where the file is; absolute.
        name: What an error calls the log.
        timeout: Seconds for which a use waits for a lock.

    Attributes:
        pid: The process whose they are.
    """

    def __init__(self, path: str, name: str, timeout: float) -> None:
        self._path, self._name, self._timeout = path, name, timeout
        self._lock = new_lock()
        self._slots: list[_Slot] = []
        self.pid = os.getpid()
        _guard_forks()
        _leave_to_parent()
        with no_fork:
            _everywhere[id(self)] = ref(self, functools.partial(_forget, id(self)))

    @contextmanager
    def use(self, operation: str) -> Iterator[sqlite3.Connection]:
        """Lend a connection that nobody else uses.

        Raises:
            LogUnavailableError: SQLite or the operating system refused; the text names the file and says why.
        """
        try:
            slot = self._take()
            try:
                yield slot.connection
            except sqlite3.Error as error:
                # What broke is opened anew; what waited in vain for a lock is as good as before.
                slot.stale = slot.stale or getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY
                raise
            finally:
                slot.stale = slot.stale or slot.connection.in_transaction
                slot.give_back()
        except (sqlite3.Error, OSError) as error:
            raise LogUnavailableError(self._name, operation, explain(error, self._path, self._timeout)) from error

    def close(self) -> None:
        """Close all that are not in use, and the others when they are given back; a later use opens new ones."""
        with no_fork, self._lock:
            for slot in self._slots:
                slot.close_once_free()
            self._slots = []

    @property
    def is_open(self) -> bool:
        """Whether a connection is open."""
        return bool(self._slots)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Close everything, once it is free, and let nobody open anything meanwhile."""
        with self._lock:
            for slot in self._slots:
                if not slot.stale and slot.busy.acquire(timeout=self._timeout):
                    slot.stale = True
                    slot.connection.close()
            self._slots = [slot for slot in self._slots if not slot.stale]
            yield

    def _take(self) -> _Slot:
        with no_fork, self._lock:
            self._slots = [slot for slot in self._slots if not slot.stale]
            file = identity(self._path) if self._slots else None
            for slot in self._slots:
                if slot.busy.acquire(blocking=False):
                    if slot.file == file:
                        return slot
                    self._let_go(slot)
            slot = _Slot()
            slot.busy.acquire()
            self._slots.append(slot)
        try:
            slot.open(self._path, self._timeout)
        except BaseException:
            slot.stale = True  # and busy for ever: there is nothing to close
            raise
        return slot

    def _let_go(self, slot: _Slot) -> None:
        """Close a file that is no longer at its path, and remove what it left beside: SQLite would add it to the new.

        Another process may have done so before, and have new ones there already; as long as the old ones are open
        here, no new one has their identity.
        """
        try:
            with alone_in(os.path.dirname(self._path)):
                for suffix, was in slot.beside.items():
                    if was is not None and identity(self._path + suffix) == was:
                        os.unlink(self._path + suffix)
        except OSError:
            slot.give_back()  # to be tried again
            raise
        slot.stale = True
        slot.close()


# -- around a fork -----------------------------------------------------------------------------------------------

# Held while a thread forks. SQLite has locks of its own, and a child whose parent was inside one would wait for ever:
# so what was there before is closed first, and nothing begins meanwhile. Taken before any other lock.
no_fork = new_lock()
_everywhere: dict[int, ref[Connections]] = {}
_closed: list[ExitStack] = []
_inherited: list[object] = []


def _forget(key: int, _: object) -> None:
    _everywhere.pop(key, None)


def _all() -> list[Connections]:
    return [each for reference in list(_everywhere.values()) if (each := reference()) is not None]


@functools.cache
def _guard_forks() -> None:
    """Have this process never fork with a file open; once, since nobody can take it back."""
    register: Callable[..., None] | None = getattr(os, "register_at_fork", None)
    if register is not None:  # Windows has no fork
        register(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)


def _before_fork() -> None:
    no_fork.__enter__()
    stack = ExitStack()
    for connections in _all():
        stack.enter_context(connections.closed())
    _closed.append(stack)


def _after_in_parent() -> None:
    _closed.pop().close()
    no_fork.__exit__(None, None, None)


def _after_in_child() -> None:
    no_fork.__exit__(None, None, None)  # by the thread that has forked, the only one that is left
    _inherited.extend(_closed)
    _closed.clear()
    _leave_to_parent()


def _leave_to_parent() -> None:
    """Keep what was copied from a parent and never touch it: to close it would take the parent's locks away."""
    copied = [connections for connections in _all() if connections.pid != os.getpid()]
    for connections in copied:
        del _everywhere[id(connections)]
    if any(connections.is_open for connections in copied):  # uWSGI forks without a word to Python
        logger.warning(
            "SQLiteLog: this process was forked while its parent had the file open, which SQLite does not allow;"
            " fork first, or have the parent call close() before"
        )
    _inherited.extend(copied)
