"""A log in one SQLite file, for the workers of one machine; it survives a restart.

No server runs for it. Appends of all processes go through the file one after another, and each process that has
subscribers looks into the file for what others have appended.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from time import time
from weakref import finalize

from streamkit._engine.clock import SYSTEM
from streamkit._engine.threads import PerProcess
from streamkit.channels._entry import OVERHEAD, Entry
from streamkit.channels._history import View, begin, fence, follow, is_behind
from streamkit.channels._log import PAGE_BYTES, Appended, Log, Tell
from streamkit.channels._position import Position
from streamkit.channels._sqlite import rows
from streamkit.channels._sqlite.connections import Connections, no_fork
from streamkit.channels._sqlite.opening import transaction
from streamkit.channels._sqlite.poller import Poller
from streamkit.errors import SealedError

_SWEPT = 100
"""Channels that one append forgets at most."""


class _Process:
    """What one process has of a log."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.poller: Poller | None = None
        self.swept = self.tended = 0.0

    def close(self) -> None:
        poller, self.poller = self.poller, None
        if poller is not None:
            poller.close()
        self.connections.close()


class SQLiteLog(Log):
    """Keep channels in a file that all processes of one machine share; see `Log` for the limits.

    Another process's entries arrive within about 50 ms. The file is made at the first use, in a directory that is
    there, and SQLite keeps two more beside it, as -wal and -shm. Not for a network file system.

    Whatever was appended survives the end of every process, also by SIGKILL. A power cut, or a crash of the system,
    may take the entries of the last seconds, since SQLite waits for the disk only from time to time
    (`synchronous=NORMAL`). Clients that had seen one of them are told of a gap when they resume; those that had not are
    not, because nothing is left that knows of the entry.

    A snapshot is made, and restored while processes run, by SQLite's backup API (`sqlite3.Connection.backup`, or
    `.backup` and `.restore` of its shell). Or remove the two files beside it and rename another to the path; the file
    may also be deleted with them. All this is noticed: processes with subscribers, and those that publish, mark the
    place, and readers get a gap. Never copy onto a file that processes have open: SQLite does not survive that.

    Args:
        path: The file. A log of another version of its schema, or another kind of file, is refused, not changed.
        max_events: As of `Log`, like the others.
        max_bytes: For each channel.
        max_age: In seconds.
        timeout: Seconds to wait while other processes keep the file locked.
        now: Returns the time.

    Raises:
        TypeError: The path is none.
        ValueError: The path is empty or `:memory:`, which would be another database for each connection.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_events: int = 10_000,
        max_bytes: int = 8 * 2**20,
        max_age: float | None = 3600.0,
        timeout: float = 5.0,
        now: Callable[[], float] = time,
    ) -> None:
        super().__init__(max_events=max_events, max_bytes=max_bytes, max_age=max_age, timeout=timeout, now=now)
        self.path: str = _check_path(path)
        self._clock = SYSTEM
        self._connect = partial(Connections, self.path, repr(self), self.timeout)
        connect = self._connect  # without the log itself: what `finalize` holds lives for ever
        self._here = PerProcess(lambda: _Process(connect()))
        finalize(self, _close, self._here)  # also at the interpreter's exit: an open connection is a ResourceWarning

    def __repr__(self) -> str:
        return f"SQLiteLog({self.path!r})"

    def close(self) -> None:
        """See `Log.close`."""
        self._here.here().close()

    # -- the operations ------------------------------------------------------------------------------------------

    def _append(
        self,
        channel: str,
        payload: bytes,
        known: Position | None,
        *,
        key: str | None,
        first: bool,
        seal: bool,
        keep: bool,
    ) -> Appended:
        poller = self._poller()
        added: list[tuple[int, Entry]] = []
        try:
            with self._using("append") as connection, transaction(connection, "IMMEDIATE"):
                kept, fenced = self._ready(connection, channel, known)
                if key is not None and (position := rows.at_key(connection, kept, key)) is not None:
                    return Appended(position, False)
                if first and kept.head.offset > 0:
                    return Appended(kept.head, False)
                if kept.sealed:
                    raise SealedError(channel)
                self._check_room(connection, channel, kept, len(payload) + OVERHEAD, keep=keep and not seal)
                entry = follow(kept.head, self._stamp(), payload, seal=seal, key=key)
                added = [*fenced, (rows.add(connection, kept, entry), entry)]
                self._finish(connection, kept)
                if poller is not None:
                    poller.leave_out(added)
        except BaseException:
            if poller is not None:
                poller.leave_in(added)
            raise
        # Who began to watch meanwhile is told by the poller that began with it.
        if poller is not None and poller is self._here.here().poller:
            self._tell(channel, [entry for _, entry in added])
        return Appended(entry.position, True)

    def _view(self, channel: str, offset: int, count: int, known: Position | None) -> View:
        with self._using("read") as connection:
            with transaction(connection, "DEFERRED"):
                kept = rows.find(connection, channel)
                if kept is not None and not _is_behind(connection, kept, known):
                    view = self._read(connection, kept, offset, count)
                    stale = self.max_age is not None and self._now() - kept.touched > self.max_age / 4
                else:
                    kept = None
            if kept is None:
                with transaction(connection, "IMMEDIATE"):
                    return self._read(connection, self._ready(connection, channel, known)[0], offset, count)
            if stale:
                self._touch(connection, [channel])
            return view

    def exists(self, channel: str) -> bool:
        """See `Log.exists`."""
        with self._using("read") as connection:
            return rows.find(connection, channel) is not None

    def hold(self, name: str, owner: str, seconds: float) -> bool:
        """See `Log.hold`."""
        with self._using("hold a lease") as connection, transaction(connection, "IMMEDIATE"):
            now = self._now()
            return rows.hold(connection, name, owner, now, now + seconds)

    def holder(self, name: str) -> str | None:
        """See `Log.holder`."""
        with self._using("read a lease") as connection:
            return rows.holder(connection, name, self._now())

    def release(self, name: str, owner: str) -> None:
        """See `Log.release`."""
        with self._using("release a lease") as connection, transaction(connection, "IMMEDIATE"):
            rows.release(connection, name, owner)

    # -- inside a transaction ------------------------------------------------------------------------------------

    def _ready(
        self, connection: sqlite3.Connection, channel: str, known: Position | None
    ) -> tuple[rows.Channel, list[tuple[int, Entry]]]:
        """Return a channel to append to, without what is too old, and the fence that was put in."""
        self._sweep(connection)
        kept = rows.find(connection, channel)
        if kept is None:
            return rows.create(connection, channel, begin(self._stamp(), known), self._now()), []
        if known is None or not _is_behind(connection, kept, known):
            self._trim(connection, kept)
            return kept, []
        entry = fence(kept.head, known, self._stamp())
        fenced = [(rows.add(connection, kept, entry), entry)]
        self._finish(connection, kept)
        return kept, fenced

    def _finish(self, connection: sqlite3.Connection, kept: rows.Channel) -> None:
        self._trim(connection, kept)
        kept.touched = self._now()
        rows.save(connection, kept)

    def _trim(self, connection: sqlite3.Connection, kept: rows.Channel) -> None:
        first = self._first_kept(connection, kept)
        if first > kept.first:
            rows.drop_before(connection, kept, first)

    def _first_kept(self, connection: sqlite3.Connection, kept: rows.Channel) -> int:
        oldest = 0 if self.max_age is None else int((self._now() - self.max_age) * 1_000_000)
        return rows.first_kept(connection, kept, self.max_events, self.max_bytes, oldest)

    def _check_room(
        self, connection: sqlite3.Connection, channel: str, kept: rows.Channel, size: int, *, keep: bool
    ) -> None:
        if size > self.max_bytes or (keep and rows.held_bytes(connection, kept) + size > self.max_bytes):
            raise self._full(channel, "bytes")
        if keep and kept.count >= self.max_events:
            raise self._full(channel, "entries")

    def _read(self, connection: sqlite3.Connection, kept: rows.Channel, offset: int, count: int) -> View:
        first = self._first_kept(connection, kept)
        entries: list[Entry] = []
        size = 0
        for entry in rows.read(connection, kept, max(offset, first), count):
            if size >= PAGE_BYTES and len(entries) >= 2:
                break
            entries.append(entry)
            size += entry.size
        return View(rows.before(connection, kept, first), kept.head, kept.sealed, entries)

    def _sweep(self, connection: sqlite3.Connection) -> None:
        """Forget channels that nobody needs, now and then."""
        here, now = self._here.here(), self._now()
        if self.max_age is None or now - here.swept < self.max_age / 10:
            return
        if rows.forget_idle(connection, now - 2 * self.max_age, set(self._watched()), _SWEPT):
            here.swept = now

    def _touch(self, connection: sqlite3.Connection, channels: list[str]) -> None:
        with suppress(sqlite3.Error), transaction(connection, "IMMEDIATE"):  # another will succeed, well in time
            rows.touch(connection, channels, self._now())

    # -- watching ------------------------------------------------------------------------------------------------

    def _watching(self, channel: str, tell: Tell) -> None:
        poller = self._here.here().poller
        ready = poller is not None and poller.ready
        self._poller()
        if ready:
            tell(None)  # else the poller does, once it is

    def _unwatched(self, channel: str) -> None:
        here = self._here.here()
        with no_fork, self._lock:
            if here.poller is not None and not self._watched():
                here.poller.stop()
                here.poller = None

    def _poller(self) -> Poller | None:
        """Return the poller of this process; None where nobody watches."""
        here = self._here.here()
        with no_fork, self._lock:
            if here.poller is not None or not self._watched():
                return here.poller
            poller = here.poller = Poller(self._connect(), self._tell, self._watched, self._tend, self._clock)
        try:
            poller.start()  # under no lock: a thread that begins may have to close what the garbage collector finds
        except RuntimeError:
            here.poller = None
            if threading.main_thread().is_alive():
                raise
            return None  # the interpreter is leaving, and since 3.12 starts no thread then
        return poller

    def _tend(self, connection: sqlite3.Connection) -> None:
        """Keep the channels that are watched from being forgotten, by whichever process."""
        here, now = self._here.here(), self._now()
        if self.max_age is not None and now - here.tended > self.max_age / 4:
            here.tended = now
            self._touch(connection, self._watched())

    def _using(self, operation: str) -> AbstractContextManager[sqlite3.Connection]:
        return self._here.here().connections.use(operation)


def _is_behind(connection: sqlite3.Connection, kept: rows.Channel, known: Position | None) -> bool:
    return is_behind(kept.head, known, lambda offset: rows.tag_at(connection, kept, offset))


def _check_path(path: object) -> str:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"SQLiteLog.path must be a str or a path, not {path!r:.200}")
    text = os.fsdecode(path)
    if text in ("", ":memory:") or "\0" in text:
        raise ValueError(f"SQLiteLog.path must name a file that processes can share, not {text!r:.200}")
    return os.path.abspath(text)  # a process may change its directory later


def _close(here: PerProcess[_Process]) -> None:
    here.here().close()
