"""What every log promises, and the part of it that is the same in all of them.

A log keeps the latest entries of any number of channels, bounded in number, bytes and age. Left to a subclass are: to
append one entry atomically, to give a view of the entries from some offset on, to tell the watchers of a channel what
was appended, by whichever process, and leases, of which each has one owner. Whether a reader who stands at some
position has missed anything is judged from a view, the same for all. All of it is sync, for any thread.

A log can go back in time: a restored snapshot, a failover to a replica that lagged. No log sees that by itself, so each
process remembers the last position that it knows of each channel, and where the log is found behind it, a fence is put
in: an entry that begins a new epoch, which nobody can pass without being told of a gap.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import ClassVar, Literal, NamedTuple

from streamkit._engine.policy import check_int, check_seconds
from streamkit._engine.register import logger
from streamkit._engine.threads import PerProcess, new_lock
from streamkit.channels._entry import Entry
from streamkit.channels._history import Page, View, fault, onwards
from streamkit.channels._position import Position
from streamkit.errors import LogFullError

Tell = Callable[[list[Entry] | None], object]
"""Takes entries that were appended, in order; None says that there may be some which were not told."""

PAGE = 100
"""Entries of one page, unless more or fewer are asked for."""

PAGE_BYTES = 2**20
"""What one view holds at most, whatever was asked for: so many bytes, or two entries that have more."""

_REMEMBERED = 10_000
"""Channels of which a process remembers how far they were."""


class Appended(NamedTuple):
    """What became of an entry: where it is, and whether it was stored now or had been before."""

    position: Position
    stored: bool


class Log(ABC):
    """Keep the latest entries of channels.

    Args:
        max_events: Entries kept of one channel.
        max_bytes: Bytes kept of one channel; a payload is counted with 100 bytes more.
        max_age: Seconds for which an entry is kept; None for as long as the other limits allow. A channel that nobody
            publishes or subscribes to for twice as long is forgotten, its last position too.
        timeout: Seconds that one operation may take.
        now: Returns the time, as `time.time` does.

    Raises:
        ValueError: A limit is not a number above zero.
    """

    blocking: ClassVar[bool] = True
    """Whether its calls may wait for a disk or a network, so that no event loop should make them."""

    def __init__(
        self,
        *,
        max_events: int = 10_000,
        max_bytes: int = 8 * 2**20,
        max_age: float | None = 3600.0,
        timeout: float = 5.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        check_int(f"{type(self).__name__}.max_events", max_events)
        check_int(f"{type(self).__name__}.max_bytes", max_bytes)
        check_seconds(f"{type(self).__name__}.max_age", 1.0 if max_age is None else max_age)
        check_seconds(f"{type(self).__name__}.timeout", timeout)
        self.max_events = max_events
        self.max_bytes = max_bytes
        self.max_age = max_age
        self.timeout = timeout
        self._now = now
        self._heads: PerProcess[OrderedDict[str, Position]] = PerProcess(OrderedDict)
        self._watchers: PerProcess[dict[str, list[Tell]]] = PerProcess(dict)
        self._locks = PerProcess(new_lock)

    @property
    def _lock(self) -> AbstractContextManager[object]:
        """Guards what this process remembers; a fork's parent may have held its own for ever."""
        return self._locks.here()

    # -- for channels --------------------------------------------------------------------------------------------

    def append(
        self,
        channel: str,
        payload: bytes,
        *,
        key: str | None = None,
        first: bool = False,
        seal: bool = False,
        keep: bool = False,
    ) -> Appended:
        """Store one entry.

        Args:
            channel: Its name, which was checked.
            payload: The entry's.
            key: An idempotency key: where an entry of this key is kept, nothing is stored.
            first: Store it only in a channel that is empty and always was.
            seal: Have the channel take nothing after it.
            keep: Refuse rather than drop older entries for it.

        Raises:
            SealedError: The channel takes nothing more.
            LogFullError: It has no room for it.
            LogUnavailableError: The log does not answer.
        """
        known = self._known(channel)
        appended = self._append(channel, payload, known, key=key, first=first, seal=seal, keep=keep)
        self._learn(channel, appended.position)
        return appended

    def page(self, channel: str, after: Position | None, count: int = PAGE) -> Page:
        """Return what comes after a position, or after None: from the oldest entry on.

        Raises:
            LogUnavailableError: The log does not answer.
        """
        start = 0 if after is None else after.offset
        view = self._view(channel, start, count + 2, self._known(channel))
        self._learn(channel, view.head)
        at = view.floor if after is None else after
        gap = None if after is None else fault(view, after)
        if gap is not None:
            view, at = self._go_on(channel, view, at, count)
        return onwards(view, at, gap, count)

    @abstractmethod
    def exists(self, channel: str) -> bool:
        """Tell whether a channel is there, without making it, as a page would.

        Raises:
            LogUnavailableError: The log does not answer.
        """

    def last(self, channel: str) -> Entry | None:
        """Return the last entry of a channel; None where none is kept.

        Raises:
            LogUnavailableError: The log does not answer.
        """
        head = self._view(channel, 0, 0, self._known(channel)).head
        entries = self._view(channel, head.offset, 1, None).entries
        return entries[-1] if entries else None

    def watch(self, channel: str, tell: Tell) -> None:
        """Have `tell` called with what is appended to a channel from now on, by any thread of this process.

        It is called with None once nothing more is missed, and whenever something may have been.
        """
        with self._lock:
            self._watchers.here().setdefault(channel, []).append(tell)
        self._watching(channel, tell)

    def unwatch(self, channel: str, tell: Tell) -> None:
        """Call `tell` no more."""
        with self._lock:
            watchers = self._watchers.here()
            told = watchers.get(channel, [])
            if tell in told:
                told.remove(tell)
            gone = not told and watchers.pop(channel, None) is not None
        if gone:
            self._unwatched(channel)

    def close(self) -> None:  # noqa: B027 - a log that holds nothing has nothing to do
        """Let go of what this process holds: connections, threads. What is stored stays; a later call opens anew."""

    # -- for Detached: who runs a producer -----------------------------------------------------------------------

    @abstractmethod
    def hold(self, name: str, owner: str, seconds: float) -> bool:
        """Take or renew the lease `name` for so many seconds; False where somebody else has it.

        Raises:
            LogUnavailableError: The log does not answer; nor may `holder` and `release` then.
        """

    @abstractmethod
    def holder(self, name: str) -> str | None:
        """Return who has the lease; None where nobody has, or has not renewed it in time."""

    @abstractmethod
    def release(self, name: str, owner: str) -> None:
        """Give a lease back."""

    # -- for a subclass to write ---------------------------------------------------------------------------------

    @abstractmethod
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
        """Do what `append` says, in one step that no other process can come between, and tell the watchers."""

    @abstractmethod
    def _view(self, channel: str, offset: int, count: int, known: Position | None) -> View:
        """Return at most `count` entries from `offset` on; begin a channel that is not there, fence one that is behind.

        It ends where PAGE_BYTES are exceeded, but not before the second entry: the first may be the reader's own.
        """

    def _watching(self, channel: str, tell: Tell) -> None:
        """Hear of a channel, unless that is so already; call `tell(None)` once it is."""
        tell(None)

    def _unwatched(self, channel: str) -> None:  # noqa: B027 - for a log that hears nothing, nothing to do
        """Nobody watches a channel any more."""

    # -- for a subclass to call ----------------------------------------------------------------------------------

    def _full(self, channel: str, what: Literal["bytes", "entries"]) -> LogFullError:
        """Return the error of a channel that has no room for so many bytes, or for one entry more."""
        most = self.max_bytes if what == "bytes" else self.max_events
        return LogFullError(channel, f"{most} {what} of a channel")

    def _known(self, channel: str) -> Position | None:
        """Return the last position of a channel that this process has seen."""
        return self._heads.here().get(channel)

    def _learn(self, channel: str, position: Position) -> None:
        """Remember a position that came from the log itself, never from a client."""
        with self._lock:
            heads = self._heads.here()
            if channel not in heads or heads[channel] < position:
                heads[channel] = position
                heads.move_to_end(channel)
                if len(heads) > _REMEMBERED:
                    heads.popitem(last=False)

    def _tell(self, channel: str, entries: list[Entry] | None) -> None:
        """Tell the watchers of a channel; the fault of one neither stops the others nor reaches who publishes."""
        for tell in list(self._watchers.here().get(channel, ())):
            try:
                tell(entries)
            except Exception:
                logger.exception("A watcher of channel %.200r failed", channel)

    def _watched(self) -> list[str]:
        """Return the channels that this process watches."""
        with self._lock:
            return list(self._watchers.here())

    def _stamp(self) -> int:
        """Return the time as a tag: milliseconds, and three digits that no other history has by chance."""
        return int(self._now() * 1000) * 1000 + random.randrange(1000)  # noqa: S311 - guards against accidents only

    # -- judging -------------------------------------------------------------------------------------------------

    def _go_on(self, channel: str, view: View, after: Position, count: int) -> tuple[View, Position]:
        """Return where a reader goes on who cannot go on where it is: after the last entry that is not newer.

        It takes several looks, and the log may be lost or rolled back between them. A place that was found in another
        history would lead the reader to what it has seen, so the last look must show that it is the right one.
        """
        while True:
            low, high = view.floor.offset + 1, view.head.offset + 1  # the first newer entry is in between
            at = view.floor
            while low < high:
                middle = (low + high) // 2
                entries = self._view(channel, middle, 1, None).entries
                if entries and entries[0].position.tag <= after.tag:
                    low, at = middle + 1, entries[0].position
                else:
                    high = middle
            view = self._view(channel, at.offset, count + 2, None)
            newer = next((entry for entry in view.entries if entry.position.offset > at.offset), None)
            if fault(view, at) is None and (newer is None or newer.position.tag > after.tag):
                return view, at


def check_log(name: str, log: object) -> None:
    """Raise TypeError unless what the class `name` is given is a log."""
    if not isinstance(log, Log):
        raise TypeError(f"{name} takes a log such as MemoryLog(), not {log!r:.200}")
