"""One pub/sub connection, from its first subscription until nothing is wanted any more or it is lost.

Only the thread that made it uses it. It speaks RESP 2 by a bare connection of redis-py: no reconnect happens unseen.
"""

from __future__ import annotations

import random
from collections import defaultdict
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

import redis

if TYPE_CHECKING:
    from streamkit.channels.redis._live import Live, Waker

PING = 5.0
"""Seconds of silence after which the server is asked whether it is there."""

_BATCH = 200
"""Channels named by one SUBSCRIBE, or looked at in one go."""

_BURST = 1000
"""Messages read before the thread looks up."""

_AHEAD = 1 / 30
"""The part of `probe` by which channels are looked at early, so that many are at once."""


class Line:
    """See the module.

    Args:
        live: Says what is wanted, and takes what is heard.
        waker: What the thread waits with.

    Attributes:
        up: Whether the server has confirmed a subscription.
    """

    def __init__(self, live: Live, waker: Waker) -> None:
        self._live, self._waker, self._clock = live, waker, live.clock
        self.up = False
        self._connection = live.connections.new()
        self._changes = -1  # of what is wanted, when that was last looked at
        self._sent: set[bytes] = set()  # subscribed to, confirmed or not yet
        self._heard_at = self._clock.now()  # anything from the server
        self._asked_at: float | None = None  # by a PING that is not answered yet
        self._last: dict[bytes, float] = {}  # when each topic was last heard of, or told to look
        self._probes: list[tuple[float, bytes]] = []  # a heap: when to see whether a topic has been silent
        self._ends: dict[bytes, object] = {}  # the id of the last entry of a topic that was heard of, or seen

    def follow(self) -> None:
        """Hear of what is wanted for as long as anything is.

        Raises:
            redis.RedisError, OSError: The connection is lost, or cannot be made.
        """
        connection = self._connection
        try:
            connection.connect()
            sock = connection._sock  # redis-py lends it by no other name
            self._waker.watch(sock)
            try:
                while self._subscribe():
                    more = self._read()
                    due = self._look_after()
                    self._waker.wait(0.0 if more else due)
            finally:
                self._waker.unwatch(sock)
        finally:
            connection.disconnect()

    def _subscribe(self) -> bool:
        """Subscribe to what is wanted and to nothing else; False where nothing is wanted."""
        if self._changes != self._live.changes:
            self._changes, wanted = self._live.wanted()
            for command, topics in (("UNSUBSCRIBE", self._sent - wanted), ("SUBSCRIBE", wanted - self._sent)):
                names = sorted(topics)
                for start in range(0, len(names), _BATCH):
                    self._connection.send_command(command, *names[start : start + _BATCH])
            self._sent = wanted
        return bool(self._sent)

    def _read(self) -> bool:
        """Take what has come in; True where there may be more."""
        heard: defaultdict[str, list[bytes]] = defaultdict(list)
        more = True
        for _ in range(_BURST):
            more = self._connection.can_read(0)
            if not more:
                break
            self._heard_at, self._asked_at = self._clock.now(), None
            self._take(self._connection.read_response(), heard)
        for channel, messages in heard.items():
            self._live.told(channel, messages)
        return more

    def _take(self, response: Any, heard: defaultdict[str, list[bytes]]) -> None:
        if not isinstance(response, list) or response[0] not in (b"message", b"subscribe"):
            return  # the reply to PING or UNSUBSCRIBE
        kind, topic, data = response
        channel = self._live.channel_of(topic, confirm=kind == b"subscribe")
        if channel is None:
            return
        if kind == b"message":
            self._last[topic] = self._heard_at
            self._ends[topic] = b"-".join(data.split(b" ", 3)[1:3])
            heard[channel].append(data)
            return
        self.up = True
        if topic not in self._last:
            heappush(self._probes, (self._heard_at, topic))
        # Channels that were confirmed together are not probed together.
        self._last[topic] = self._heard_at - random.uniform(0, self._live.probe / 2)  # noqa: S311 - spreads load
        self._live.told(channel, None)

    def _look_after(self) -> float:
        """Ask a silent server whether it is there; look at silent channels. Return seconds until either is due."""
        now, timeout = self._clock.now(), self._live.timeout
        if self._asked_at is None and now - self._heard_at >= PING:
            self._connection.send_command("PING")
            self._asked_at = now
        if self._asked_at is not None and now - self._asked_at >= timeout:
            raise redis.TimeoutError(f"no answer to PING within {timeout} s")
        due = self._heard_at + PING if self._asked_at is None else self._asked_at + timeout
        return min(due, self._probe(now)) - now

    def _probe(self, now: float) -> float:
        """Look at the channels that have been silent; return when the next may have been."""
        probe, silent = self._live.probe, []
        soon = now + probe * _AHEAD
        while self._probes and self._probes[0][0] <= soon:
            topic = heappop(self._probes)[1]
            channel = self._live.channel_of(topic)
            if channel is None:
                del self._last[topic]
                self._ends.pop(topic, None)
                continue
            if self._last[topic] + probe <= soon:
                self._last[topic] = now
                silent.append((topic, channel))
            heappush(self._probes, (self._last[topic] + probe, topic))
        for start in range(0, len(silent), _BATCH):
            self._look(silent[start : start + _BATCH])
        return self._probes[0][0] if self._probes else float("inf")

    def _look(self, silent: list[tuple[bytes, str]]) -> None:
        """Tell those of the channels to look whose last entry is not the one that was heard of last, or seen."""
        for (topic, channel), end in zip(silent, self._live.ends([channel for _, channel in silent]), strict=True):
            if not isinstance(end, bytes) or end != self._ends.get(topic):
                self._ends[topic] = end
                self._live.told(channel, None)
