"""The thread that looks for what other processes have appended, for as long as somebody watches.

Every 40 ms it asks whether the file has changed, which costs microseconds; only then it reads, all channels in one go.
What this process has appended itself was told at once and is left out. Whenever it cannot be sure to have seen
everything, it tells None to all: at the start, when the file was replaced or restored, and after an error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from streamkit._engine.clock import Clock
from streamkit._engine.register import logger
from streamkit._engine.threads import Parker, new_latch, start_native_thread
from streamkit.channels._entry import Entry
from streamkit.channels._sqlite.connections import Connections
from streamkit.channels._sqlite.opening import pragma
from streamkit.channels._sqlite.rows import last_row, read_new
from streamkit.errors import LogUnavailableError

POLL = 0.04
"""Seconds between two looks."""

RETRY = 0.25
"""Seconds until the next look where one has failed."""

MOST_ROWS, MOST_BYTES = 1000, 4 * 2**20
"""What one look reads at most; beyond, the watchers read for themselves."""

News = dict[str, list[Entry]]


class Poller:
    """Looks for new entries in a thread of its own.

    Args:
        connections: Its own, since a connection sees only what others change.
        tell: Takes a channel, and what was appended to it.
        watched: Returns the channels that somebody watches.
        tend: Called at every look that went well.
        clock: For the time between two looks.

    Attributes:
        ready: Whether whatever is appended from now on will be told.
    """

    def __init__(
        self,
        connections: Connections,
        tell: Callable[[str, list[Entry] | None], object],
        watched: Callable[[], list[str]],
        tend: Callable[[sqlite3.Connection], object],
        clock: Clock,
    ) -> None:
        self._connections, self._tell, self._watched, self._tend, self._clock = connections, tell, watched, tend, clock
        self._parker = Parker(new_latch())  # a native thread cannot wait for what gevent has replaced
        self._connection: sqlite3.Connection | None = None
        self._version: object = None
        self._schema: object = None
        self._last = 0
        self._stopped = self._failed = False
        self.ready = False
        self._own: set[tuple[int, int]] = set()

    def start(self) -> None:
        """Begin to look."""
        start_native_thread(self._run, "streamkit-log-poller")

    def stop(self) -> None:
        """Look no more; from any thread, without waiting."""
        self._stopped = True
        self._parker.wake()

    def close(self) -> None:
        """Let go of the file as well, as far as it is not being looked at."""
        self.stop()
        self._connections.close()

    def leave_out(self, added: list[tuple[int, Entry]]) -> None:
        """Do not tell these, by their rows, since this process does; called before they are committed."""
        self._own.update((row, entry.position.tag) for row, entry in added)

    def leave_in(self, added: list[tuple[int, Entry]]) -> None:
        """Tell these after all, if they are there."""
        self._own.difference_update((row, entry.position.tag) for row, entry in added)

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._pass_on(self._look())
            except LogUnavailableError as error:
                self._fail(error)
            except Exception:
                logger.exception("A watcher of an SQLiteLog failed")
            self._clock.park(self._parker, POLL if self.ready else RETRY)
        self._connections.close()

    def _look(self) -> News | None:
        """Return what is new; None where there may be more than was seen."""
        with self._connections.use("look for new entries") as connection:
            news = self._read(connection)
            self._tend(connection)
        if self._failed:
            logger.warning("An SQLiteLog is back: looking for new entries again")
        self._failed, self.ready = False, True
        return news

    def _read(self, connection: sqlite3.Connection) -> News | None:
        version = pragma(connection, "data_version")  # before all else: what changes later shows next time
        if connection is not self._connection:
            self._begin(connection, version)
            return None
        if version == self._version:
            return {}
        if pragma(connection, "schema_version") != self._schema:  # as after a restore through SQLite's backup API
            self._begin(connection, version)
            return None
        news, size, rows, seen = News(), 0, 0, self._last
        for row, channel, entry in read_new(connection, self._last, MOST_ROWS):
            rows, size, seen = rows + 1, size + entry.size, row
            if size > MOST_BYTES or rows == MOST_ROWS:
                self._begin(connection, version)
                return None
            if (row, entry.position.tag) not in self._own:
                news.setdefault(channel, []).append(entry)
        self._version = version
        self._seen(seen)
        return news

    def _begin(self, connection: sqlite3.Connection, version: object) -> None:
        """Go on from the last row that there is now."""
        self._connection, self._version = connection, version
        self._schema = pragma(connection, "schema_version")
        self._last = 0
        self._seen(last_row(connection))

    def _seen(self, last: int) -> None:
        self._last = last
        for own in [own for own in list(self._own) if own[0] <= last]:
            self._own.discard(own)

    def _pass_on(self, news: News | None) -> None:
        told = dict.fromkeys(self._watched()) if news is None else news
        for channel, entries in told.items():
            if not self._stopped:
                self._tell(channel, entries)

    def _fail(self, error: LogUnavailableError) -> None:
        if not self._failed:
            logger.warning("%s; trying again", error)
        self._failed, self.ready, self._connection = True, False, None
