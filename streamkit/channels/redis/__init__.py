"""A log in Redis or Valkey: for several machines. Needs `pip install streamkit-http[redis]`.

Redis 6.2 or later, or any Valkey, through redis-py's sync client. A channel is one stream of the server, so that it is
lost, evicted or restored as a whole; `_scripts` says how it looks. What is published is sent at once to every process
that has a subscriber, by pub/sub, and read again from the stream where anything may have been missed.

What it survives is what the server survives: with append-only files a restart; without, a restart is a loss, and that
is told. Channels are keys with an expiry, so any of the server's eviction policies may take them, whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import groupby
from typing import Any
from urllib.parse import quote

try:
    import redis
except ImportError as _exc:
    raise ImportError("RedisLog needs redis-py: pip install streamkit-http[redis]") from _exc

from streamkit._engine.clock import SYSTEM, Clock
from streamkit._engine.policy import check_seconds
from streamkit._engine.threads import PerProcess
from streamkit.channels._entry import Entry
from streamkit.channels._history import View
from streamkit.channels._log import PAGE_BYTES, Appended, Log, Tell
from streamkit.channels._position import Position
from streamkit.channels.redis._connections import Connections
from streamkit.channels.redis._live import Live
from streamkit.channels.redis._scripts import APPEND, EXISTS, HOLD, HOLDER, LOOK, RELEASE, VIEW
from streamkit.errors import SealedError

__all__ = ["RedisLog"]


def __dir__() -> list[str]:
    return __all__


_A_DAY = 24 * 3600.0


class RedisLog(Log):
    """Keep channels in Redis or Valkey; see `Log` for the limits, which all processes should give alike.

        channels = Channels(RedisLog("redis://127.0.0.1:6379/0"))

    It may be made when a module is imported, before or after a fork. One connection for each thread that is publishing
    or reading, and one more in each process that has subscribers, however many.

    An idempotency key is known for as long as its entry is kept; where `max_age` is None, for a day.

    Args:
        url_or_client: `redis://`, `rediss://` or `unix://`, or a `redis.Redis` (also one of a `redis.Sentinel`), of
            which only the settings are used: its time-outs and retries are replaced by `timeout` and none.
        prefix: What the names of all keys begin with; two apps on one server take two.
        probe: Seconds after which a channel of which nothing was heard is read again: within so many, subscribers
            learn that it was evicted or wiped, if nobody publishes. Never more than `max_age`.
        max_events: See `Log`.
        max_bytes: See `Log`.
        max_age: See `Log`.
        timeout: Seconds that one operation may take; half of it for connecting.
        now: Returns the time, in place of the server's; for tests.
        clock: What waits and probes go by; for tests.

    Raises:
        TypeError: `url_or_client` is neither; clients of `redis.asyncio` and of a cluster are not taken.
        ValueError: The URL cannot be used, or a limit is not a number above zero.
    """

    def __init__(
        self,
        url_or_client: str | redis.Redis,
        *,
        prefix: str = "streamkit",
        probe: float = 30.0,
        max_events: int = 10_000,
        max_bytes: int = 8 * 2**20,
        max_age: float | None = 3600.0,
        timeout: float = 5.0,
        now: Callable[[], float] | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        super().__init__(
            max_events=max_events, max_bytes=max_bytes, max_age=max_age, timeout=timeout, now=now or time.time
        )
        if not isinstance(prefix, str) or not prefix or set(prefix) & set("{}"):
            raise ValueError(f"RedisLog.prefix must be text without braces, not {prefix!r:.200}")
        check_seconds("RedisLog.probe", probe)
        if max_age is not None:
            probe = min(probe, max_age)  # reading puts off the end of a channel, which comes after twice its age
        self._prefix, self._own_time, self._closed = prefix, now is not None, False
        self._connections = Connections(url_or_client, timeout)
        self._live = PerProcess(
            lambda: Live(self._connections, self._topic, self._heard, self._ends, clock, probe=probe, timeout=timeout)
        )

    def __repr__(self) -> str:
        return self._connections.name

    # -- names: all keys of a channel have the same text in braces, and so share a slot of a cluster -------------

    def _key(self, channel: str, *more: str) -> str:
        """Return the name of a channel's stream, or with more of what belongs to it; no two channels have one name."""
        return ":".join((f"{self._prefix}:{{{_escape(channel)}}}", *map(_escape, more)))

    def _topic(self, channel: str) -> str:
        """Return its pub/sub channel: the stream's name and the database, since all databases share pub/sub."""
        return f"{self._key(channel)}@{self._connections.db}"

    # -- entries -------------------------------------------------------------------------------------------------

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
        if self._closed:
            self._reopen()
        record = _milliseconds(_A_DAY if self.max_age is None else 2 * self.max_age)
        flags = ["1" if flag else "" for flag in (first, seal, keep)]
        what, *position = self._connections.run(
            f"publish to channel {channel!r:.200}",
            APPEND,
            [self._key(channel), self._key(channel, "key", key or "")],
            [*self._common(channel, known), payload, key or "", record, *flags, self.max_events, self.max_bytes],
        )
        if what == b"sealed":
            raise SealedError(channel)
        if what in (b"bytes", b"entries"):
            raise self._full(channel, "bytes" if what == b"bytes" else "entries")
        return Appended(Position(*map(int, position)), what == b"stored")

    def exists(self, channel: str) -> bool:
        """See `Log.exists`."""
        return bool(self._connections.run(f"find channel {channel!r:.200}", EXISTS, [self._key(channel)], []))

    def _view(self, channel: str, offset: int, count: int, known: Position | None) -> View:
        if self._closed:
            self._reopen()
        oldest, last, items = self._connections.run(
            f"read channel {channel!r:.200}",
            VIEW,
            [self._key(channel)],
            [*self._common(channel, known), offset, count, PAGE_BYTES],
        )
        head = _stored_entry(last)
        floor = head.position if oldest is None else _stored_entry(oldest).before
        return View(floor, head.position, head.sealed, [_stored_entry(item) for item in items])

    def _common(self, channel: str, known: Position | None) -> list[Any]:
        """Return the arguments that the scripts for entries begin with."""
        position = ("", "", "") if known is None else (known.epoch, known.offset, known.tag)
        return [self._time(), self._stamp() % 1000, self._topic(channel), self._age(), *position]

    def _age(self) -> int | str:
        return "" if self.max_age is None else _milliseconds(self.max_age)

    def _time(self) -> int | str:
        return int(self._now() * 1000) if self._own_time else ""

    # -- watching ------------------------------------------------------------------------------------------------

    def _watching(self, channel: str, tell: Tell) -> None:
        if self._live.here().want(channel):
            tell(None)

    def _unwatched(self, channel: str) -> None:
        self._live.here().drop(channel)

    def _heard(self, channel: str, messages: list[bytes] | None) -> None:
        """Take what the pub/sub connection heard, in its thread."""
        try:
            entries = [_sent_entry(message) for message in messages or ()]
        except ValueError:
            messages = None  # none of ours: the stream has what is true
        if messages is None:
            self._tell(channel, None)
            return
        self._learn(channel, entries[-1].position)
        for is_fence, some in groupby(entries, lambda entry: entry.payload is None):
            self._tell(channel, None if is_fence else list(some))  # readers are to look what a fence is for

    def _ends(self, channels: list[str]) -> list[object]:
        return self._connections.run_each(LOOK, [self._key(channel) for channel in channels], [self._age()])

    def _reopen(self) -> None:
        """Have those who watched before `close` hear again."""
        self._closed = False
        for channel in self._watched():
            self._live.here().want(channel)

    def close(self) -> None:
        """See `Log.close`."""
        self._closed = True
        self._live.here().close()
        self._connections.close()

    # -- leases --------------------------------------------------------------------------------------------------

    def hold(self, name: str, owner: str, seconds: float) -> bool:
        """See `Log.hold`."""
        held = self._lease("hold", HOLD, name, owner, _milliseconds(seconds))
        return bool(held)

    def holder(self, name: str) -> str | None:
        """See `Log.holder`."""
        owner: bytes | None = self._lease("read", HOLDER, name)
        return None if owner is None else owner.decode()

    def release(self, name: str, owner: str) -> None:
        """See `Log.release`."""
        self._lease("release", RELEASE, name, owner)

    def _lease(self, verb: str, script: str, name: str, *args: str | int) -> Any:
        key = self._key(name, "lease")
        return self._connections.run(f"{verb} the lease {name!r:.200}", script, [key], [self._time(), *args])


def _milliseconds(seconds: float) -> int:
    """Return whole milliseconds, at least one: Redis takes no time of zero."""
    return max(1, round(seconds * 1000))


def _stored_entry(item: Any) -> Entry:
    """Return an entry of a stream: its id, and names and values in turn."""
    id, flat = item
    offset, tag = map(int, id.split(b"-"))
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    key = fields.get(b"k")
    return Entry(
        Position(int(fields[b"e"]), offset, tag),
        int(fields[b"p"]),
        fields.get(b"d"),
        sealed=b"s" in fields,
        key=None if key is None else key.decode(),
    )


def _sent_entry(message: bytes) -> Entry:
    """Return an entry as it is sent by pub/sub.

    Raises:
        ValueError: It is not one.
    """
    head, _, payload = message.partition(b"\n")
    epoch, offset, tag, prev, what = head.split(b" ")
    return Entry(
        Position(int(epoch), int(offset), int(tag)), int(prev), None if b"f" in what else payload, sealed=b"s" in what
    )


def _escape(text: str) -> str:
    """Write a name in letters that have no meaning to Redis."""
    return quote(text, safe="/@,;=+$!*()'")
