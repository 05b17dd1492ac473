"""A log in the memory of one process: for one worker, for tests, and for what may be lost at a restart.

A position of another process, or from before a restart, is of another epoch: its client is told of a gap.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from time import time

from streamkit._engine.register import logger
from streamkit._engine.threads import PerProcess
from streamkit.channels._entry import OVERHEAD, Entry
from streamkit.channels._history import View, begin, follow
from streamkit.channels._log import PAGE_BYTES, Appended, Log
from streamkit.channels._position import Position
from streamkit.errors import SealedError


@dataclass(slots=True)
class _Channel:
    head: Position
    touched: float
    sealed: bool = False
    bytes: int = 0
    entries: dict[int, Entry] = field(default_factory=dict)  # by offset, the oldest first
    keys: dict[str, Position] = field(default_factory=dict)

    @property
    def floor(self) -> Position:
        return next((entry.before for entry in self.entries.values()), self.head)

    def drop_oldest(self) -> None:
        entry = self.entries.pop(next(iter(self.entries)))
        self.bytes -= entry.size
        if entry.key is not None:
            del self.keys[entry.key]


@dataclass(slots=True)
class _Store:
    channels: dict[str, _Channel] = field(default_factory=dict)
    leases: dict[str, tuple[str, float]] = field(default_factory=dict)
    swept: float = 0.0


class MemoryLog(Log):
    """Keep channels in the memory of this process; see `Log` for the limits.

    Every worker of a server has a log of its own: what one publishes the clients of the others do not get. It warns
    once where it sees that it has siblings; `SQLiteLog` serves the workers of one machine.
    """

    blocking = False

    def __init__(
        self,
        *,
        max_events: int = 10_000,
        max_bytes: int = 8 * 2**20,
        max_age: float | None = 3600.0,
        now: Callable[[], float] = time,
    ) -> None:
        super().__init__(max_events=max_events, max_bytes=max_bytes, max_age=max_age, now=now)
        self._made_by = os.getpid()
        self._stores = PerProcess(_Store)

    def __repr__(self) -> str:
        return "MemoryLog()"

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
        with self._lock:
            kept = self._channel(channel, known)
            if key is not None and key in kept.keys:
                return Appended(kept.keys[key], False)
            if first and kept.head.offset > 0:
                return Appended(kept.head, False)
            if kept.sealed:
                raise SealedError(channel)
            self._check_room(channel, kept, len(payload) + OVERHEAD, keep=keep and not seal)
            entry = follow(kept.head, self._stamp(), payload, seal=seal, key=key)
            kept.entries[entry.position.offset] = entry
            kept.bytes += entry.size
            kept.head, kept.sealed, kept.touched = entry.position, seal, self._now()
            if key is not None:
                kept.keys[key] = entry.position
            while len(kept.entries) > self.max_events or (kept.bytes > self.max_bytes and len(kept.entries) > 1):
                kept.drop_oldest()
        self._tell(channel, [entry])
        return Appended(entry.position, True)

    def _check_room(self, channel: str, kept: _Channel, size: int, *, keep: bool) -> None:
        if size > self.max_bytes or (keep and kept.bytes + size > self.max_bytes):
            raise self._full(channel, "bytes")
        if keep and len(kept.entries) >= self.max_events:
            raise self._full(channel, "entries")

    def exists(self, channel: str) -> bool:
        """See `Log.exists`."""
        with self._lock:
            self._forget_idle(self._stores.here(), self._now())
            return channel in self._stores.here().channels

    def _view(self, channel: str, offset: int, count: int, known: Position | None) -> View:
        with self._lock:
            kept = self._channel(channel, known)
            entries: list[Entry] = []
            size, at = 0, max(offset, kept.floor.offset + 1)
            while len(entries) < count and at in kept.entries and (size < PAGE_BYTES or len(entries) < 2):
                entries.append(kept.entries[at])
                size += entries[-1].size
                at += 1
            return View(kept.floor, kept.head, kept.sealed, entries)

    def _channel(self, name: str, known: Position | None) -> _Channel:
        """Return a channel without what is too old, made if it is not there."""
        _warn_of_siblings(self._made_by, os.getpid())
        store, now = self._stores.here(), self._now()
        self._forget_idle(store, now)
        kept = store.channels.get(name)
        if kept is None:
            kept = store.channels[name] = _Channel(begin(self._stamp(), known), now)
        if self.max_age is not None:
            oldest = (now - self.max_age) * 1_000_000
            while kept.entries and next(iter(kept.entries.values())).position.tag < oldest:
                kept.drop_oldest()
        return kept

    def _forget_idle(self, store: _Store, now: float) -> None:
        if self.max_age is None or now - store.swept < self.max_age / 10:
            return
        store.swept = now
        watched = set(self._watched())
        for name, kept in list(store.channels.items()):
            if name in watched:
                kept.touched = now  # whoever has just left may be on the way back
            elif now - kept.touched > 2 * self.max_age:
                del store.channels[name]

    def hold(self, name: str, owner: str, seconds: float) -> bool:
        """See `Log.hold`."""
        with self._lock:
            if self.holder(name) not in (None, owner):
                return False
            self._stores.here().leases[name] = (owner, self._now() + seconds)
            return True

    def holder(self, name: str) -> str | None:
        """See `Log.holder`."""
        owner, until = self._stores.here().leases.get(name, (None, 0.0))
        return owner if until > self._now() else None

    def release(self, name: str, owner: str) -> None:
        """See `Log.release`."""
        with self._lock:
            leases = self._stores.here().leases
            if name in leases and leases[name][0] == owner:  # also where it has run out
                del leases[name]


@cache
def _warn_of_siblings(made_by: int, pid: int) -> None:
    """Log a warning where this process is one of several workers: their logs know nothing of each other."""
    if made_by != pid or _has_siblings():
        logger.warning(
            "MemoryLog: this process is one of several workers, and what one of them publishes reaches no client of"
            " the others; use SQLiteLog, or RedisLog on several machines"
        )


def _has_siblings() -> bool:
    """Tell whether our parent runs another process by the same command; only Linux tells."""
    parent = Path(f"/proc/{os.getppid()}")
    try:
        children = (parent / "task" / parent.name / "children").read_text().split()
        commands = [_command(child) for child in children]
    except OSError:
        return False
    return commands.count(_command(str(os.getpid()))) > 1


def _command(pid: str) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""
    return re.sub("[0-9]+", "", command) if "spawn_main(" in command else command  # which is given descriptors
