"""Channels, entries and leases as rows: all the SQL that an operation of `SQLiteLog` needs, inside its transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from streamkit.channels._entry import Entry
from streamkit.channels._position import Position

_READ = """
    SELECT epoch, "offset", tag, prev, payload, sealed, key
    FROM entries WHERE channel = ? AND "offset" >= ? ORDER BY "offset" LIMIT ?"""
_READ_NEW = """
    SELECT e.id, c.name, e.epoch, e."offset", e.tag, e.prev, e.payload, e.sealed, e.key
    FROM entries e JOIN channels c ON c.id = e.channel WHERE e.id > ? ORDER BY e.id LIMIT ?"""
_FIRST_KEPT = """
    SELECT "offset" FROM entries
    WHERE channel = ? AND "offset" >= ? AND tag >= ? AND prior >= ? ORDER BY "offset" LIMIT 1"""
_SAVE = """
    UPDATE channels
    SET epoch = ?, "offset" = ?, tag = ?, sealed = ?, first = ?, given = ?, touched = ? WHERE id = ?"""


@dataclass(slots=True)
class Channel:
    """One row of `channels`.

    Attributes:
        id: Stands for it in other rows.
        head: The position of the last entry that there ever was.
        sealed: Whether it takes nothing more.
        first: The offset of the oldest entry that is kept; the next entry's where none is.
        given: The bytes of all entries that there ever were.
        touched: When it was last published or subscribed to, about.
    """

    id: int
    head: Position
    sealed: bool
    first: int
    given: int
    touched: float

    @property
    def count(self) -> int:
        """How many entries it holds."""
        return self.head.offset - self.first + 1


def find(connection: sqlite3.Connection, name: str) -> Channel | None:
    """Return a channel, or None where there is none."""
    row = connection.execute("SELECT * FROM channels WHERE name = ?", (name.encode(),)).fetchone()
    if row is None:
        return None
    id, _, epoch, offset, tag, sealed, first, given, touched = row
    return Channel(id, Position(epoch, offset, tag), bool(sealed), first, given, touched)


def create(connection: sqlite3.Connection, name: str, head: Position, now: float) -> Channel:
    """Begin a channel."""
    values = (name.encode(), head.epoch, head.offset, head.tag, now)
    id = connection.execute("INSERT INTO channels VALUES (NULL, ?, ?, ?, ?, 0, 1, 0, ?)", values).lastrowid
    assert id is not None  # noqa: S101 - as after every INSERT
    return Channel(id, head, False, 1, 0, now)


def save(connection: sqlite3.Connection, channel: Channel) -> None:
    """Write a channel's row."""
    at = channel.head
    values = (at.epoch, at.offset, at.tag, channel.sealed, channel.first, channel.given, channel.touched, channel.id)
    connection.execute(_SAVE, values)


def add(connection: sqlite3.Connection, channel: Channel, entry: Entry) -> int:
    """Store an entry as the channel's last and return the id of its row; the channel's own row is still to be saved."""
    at, key = entry.position, None if entry.key is None else _text(entry.key)
    values = (channel.id, at.epoch, at.offset, at.tag, entry.prev, channel.given, entry.sealed, key, entry.payload)
    id = connection.execute("INSERT INTO entries VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values).lastrowid
    channel.head, channel.sealed = at, channel.sealed or entry.sealed
    channel.given += entry.size
    assert id is not None  # noqa: S101
    return id


def first_kept(connection: sqlite3.Connection, channel: Channel, max_events: int, max_bytes: int, oldest: int) -> int:
    """Return the offset of the first entry within the limits, of which `oldest` is a tag; the next entry's if none is.

    It passes over what is too old or too much; an append then drops that, so that it is passed over once.
    """
    first = max(channel.first, channel.head.offset + 1 - max_events)
    row = connection.execute(_FIRST_KEPT, (channel.id, first, oldest, channel.given - max_bytes)).fetchone()
    return channel.head.offset + 1 if row is None else int(row[0])


def drop_before(connection: sqlite3.Connection, channel: Channel, first: int) -> None:
    """Drop the entries before an offset; the channel's own row is still to be saved."""
    connection.execute('DELETE FROM entries WHERE channel = ? AND "offset" < ?', (channel.id, first))
    channel.first = first


def held_bytes(connection: sqlite3.Connection, channel: Channel) -> int:
    """Return the bytes of the entries that a channel holds."""
    row = connection.execute(
        'SELECT prior FROM entries WHERE channel = ? AND "offset" = ?', (channel.id, channel.first)
    ).fetchone()
    return 0 if row is None else channel.given - int(row[0])


def before(connection: sqlite3.Connection, channel: Channel, offset: int) -> Position:
    """Return the position before the entry at an offset; the head where there is none."""
    row = connection.execute(
        'SELECT epoch, "offset" - 1, prev FROM entries WHERE channel = ? AND "offset" = ?', (channel.id, offset)
    ).fetchone()
    return channel.head if row is None else Position(*row)


def tag_at(connection: sqlite3.Connection, channel: Channel, offset: int) -> int | None:
    """Return the tag of the entry at an offset, or None where none is kept."""
    row = connection.execute(
        'SELECT tag FROM entries WHERE channel = ? AND "offset" = ?', (channel.id, offset)
    ).fetchone()
    return None if row is None else int(row[0])


def at_key(connection: sqlite3.Connection, channel: Channel, key: str) -> Position | None:
    """Return the position of the entry with an idempotency key."""
    row = connection.execute(
        'SELECT epoch, "offset", tag FROM entries WHERE channel = ? AND key = ?', (channel.id, _text(key))
    ).fetchone()
    return None if row is None else Position(*row)


def read(connection: sqlite3.Connection, channel: Channel, offset: int, count: int) -> Iterator[Entry]:
    """Yield at most `count` entries from an offset on."""
    return map(_entry, connection.execute(_READ, (channel.id, offset, count)))


def read_new(connection: sqlite3.Connection, last: int, count: int) -> Iterator[tuple[int, str, Entry]]:
    """Yield at most `count` entries of all channels after a row, oldest first: the row, the channel and the entry."""
    rows = connection.execute(_READ_NEW, (last, count))
    return ((id, name.decode(), _entry(rest)) for id, name, *rest in rows)


def last_row(connection: sqlite3.Connection) -> int:
    """Return the row of the last entry that there ever was; 0 where there was none."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").fetchone()
    return 0 if row is None else int(row[0])


def touch(connection: sqlite3.Connection, names: Iterable[str], now: float) -> None:
    """Note that channels are subscribed to."""
    connection.executemany("UPDATE channels SET touched = ? WHERE name = ?", [(now, name.encode()) for name in names])


def forget_idle(connection: sqlite3.Connection, before: float, watched: set[str], most: int) -> bool:
    """Forget channels that were last touched before a time; False where `most` were not enough."""
    rows = connection.execute("SELECT id, name FROM channels WHERE touched < ?", (before,)).fetchall()
    idle = [(id,) for id, name in rows if name.decode() not in watched]
    connection.executemany("DELETE FROM entries WHERE channel = ?", idle[:most])
    connection.executemany("DELETE FROM channels WHERE id = ?", idle[:most])
    return len(idle) <= most


def hold(connection: sqlite3.Connection, name: str, owner: str, now: float, until: float) -> bool:
    """Take or renew a lease; False where somebody else has it."""
    connection.execute("DELETE FROM leases WHERE until <= ?", (now,))
    connection.execute(
        "INSERT INTO leases VALUES (?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET until = excluded.until WHERE owner = excluded.owner",
        (_text(name), _text(owner), until),
    )
    return holder(connection, name, now) == owner


def holder(connection: sqlite3.Connection, name: str, now: float) -> str | None:
    """Return who has a lease; None where nobody has."""
    row = connection.execute("SELECT owner FROM leases WHERE name = ? AND until > ?", (_text(name), now)).fetchone()
    return None if row is None else bytes(row[0]).decode("utf-8", "surrogatepass")


def release(connection: sqlite3.Connection, name: str, owner: str) -> None:
    """Give a lease back."""
    connection.execute("DELETE FROM leases WHERE name = ? AND owner = ?", (_text(name), _text(owner)))


def _entry(row: Iterable[Any]) -> Entry:
    epoch, offset, tag, prev, payload, sealed, key = row
    text = None if key is None else key.decode("utf-8", "surrogatepass")
    return Entry(Position(epoch, offset, tag), prev, payload, bool(sealed), text)


def _text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
