"""One pub/sub connection for each process, and the thread that reads it; both are there only while a channel is wanted.

The thread alone uses the connection. Whoever wants a channel, or wants it no more, changes a set and wakes the thread,
so nobody waits for the network, and it may be done on an event loop. All that is waited for is waited for in one place,
with the time that a clock tells, so a test moves the clock and wakes the thread.

Pub/sub forgets: what is sent while nobody listens is gone. So a channel is told None, "look again", when its
subscription is confirmed, the first time and after each loss. And a log that was wiped, evicted or rolled back says
nothing of itself: where a channel has been silent for long, it is asked for the id of its last entry, together with
others, and the channel is told None unless that is the one which was heard of last, or seen the last time.
"""

from __future__ import annotations

import random
import selectors
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from streamkit._engine.clock import Clock
from streamkit._engine.register import logger
from streamkit._engine.threads import new_lock
from streamkit.channels._native import new_pair, new_selector, start_thread
from streamkit.channels.redis._connections import FAILURES, Connections
from streamkit.channels.redis._line import Line

if TYPE_CHECKING:
    import socket

Told = Callable[[str, list[bytes] | None], object]
"""Takes a channel, and what was sent to it; None where it may have missed something."""

Ends = Callable[[list[str]], list[object]]
"""Returns the id of the last entry of each of some channels, or anything else where it cannot be told."""

BACKOFF = (0.1, 5.0)
"""Seconds until the connection is tried again: after the first failure, and at most."""


class Live:
    """What one process wants to hear of.

    Args:
        connections: To the server.
        topic_of: Returns the pub/sub channel of a channel.
        told: Called by the thread.
        ends: Called by the thread.
        clock: The time.
        probe: Seconds after which a silent channel is looked at, and told None where it ends as it did not.
        timeout: Seconds after which a server that does not answer is taken for gone.
    """

    def __init__(
        self,
        connections: Connections,
        topic_of: Callable[[str], str],
        told: Told,
        ends: Ends,
        clock: Clock,
        *,
        probe: float,
        timeout: float,
    ) -> None:
        self.connections, self.told, self.ends = connections, told, ends
        self.clock, self.probe, self.timeout = clock, probe, timeout
        self._topic_of = topic_of
        self._lock = new_lock()
        self._wanted: dict[bytes, str] = {}
        self._confirmed: set[bytes] = set()
        self._waker: Waker | None = None  # there while the thread is
        self.changes = 0

    # -- for anybody ---------------------------------------------------------------------------------------------

    def want(self, channel: str) -> bool:
        """Hear of a channel; True where that is so already, else it is told None once it is."""
        topic = self._topic_of(channel).encode()
        with self._lock:
            self._wanted[topic] = channel
            if topic in self._confirmed:
                return True
            self.changes += 1
            begins = self._waker is None
            self._waker = waker = self._waker or Waker()
        if begins:  # under no lock: a thread that begins may have to close what the garbage collector finds
            start_thread(lambda: self._run(waker), "streamkit-redis")
        waker.wake()
        return False

    def drop(self, channel: str) -> None:
        """Hear of a channel no more."""
        with self._lock:
            self._wanted.pop(self._topic_of(channel).encode(), None)
            self.changes += 1
            self.wake()

    def close(self) -> None:
        """Hear of nothing; the thread ends soon."""
        with self._lock:
            self._wanted.clear()
            self.changes += 1
            self.wake()

    def wake(self) -> None:
        """Have the thread look at what is wanted, and at the clock."""
        with self._lock:
            if self._waker is not None:
                self._waker.wake()

    # -- for the line --------------------------------------------------------------------------------------------

    def wanted(self) -> tuple[int, set[bytes]]:
        """Return the topics to subscribe to, no other being confirmed from now on, and how often they have changed."""
        with self._lock:
            self._confirmed &= self._wanted.keys()
            return self.changes, set(self._wanted)

    def channel_of(self, topic: bytes, *, confirm: bool = False) -> str | None:
        """Return the channel of a topic, None where it is wanted no more."""
        with self._lock:
            channel = self._wanted.get(topic)
            if confirm and channel is not None:
                self._confirmed.add(topic)
            return channel

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self, waker: Waker) -> None:
        delay, most = BACKOFF
        with waker:
            while not self._ended():
                line = Line(self, waker)
                try:
                    line.follow()
                except Exception as exc:  # a fault of ours too: nobody would hear anything any more
                    if line.up or delay == BACKOFF[0]:
                        fault = not isinstance(exc, FAILURES)
                        logger.warning("%s is not heard: %s; trying again", self.connections.name, exc, exc_info=fault)
                    delay = BACKOFF[0] if line.up else min(2 * delay, most)
                    self._forget()
                    self._pause(waker, delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load

    def _ended(self) -> bool:
        """Tell whether nothing is wanted, so that the thread ends; whoever wants something then starts another."""
        with self._lock:
            self._confirmed.clear()
            if not self._wanted:
                self._waker = None
            return self._waker is None

    def _forget(self) -> None:
        with self._lock:
            self._confirmed.clear()

    def _pause(self, waker: Waker, seconds: float) -> None:
        until = self.clock.now() + seconds
        while self._wanted and (left := until - self.clock.now()) > 0:
            waker.wait(left)


class Waker:
    """Waits for a socket, or to be woken by any thread."""

    def __init__(self) -> None:
        self._in, self._out = new_pair()
        self._in.setblocking(False)
        self._out.setblocking(False)
        self._selector = new_selector()
        self._selector.register(self._out, selectors.EVENT_READ)

    def wake(self) -> None:
        """End the present wait, or the next one."""
        with suppress(BlockingIOError):  # so many have woken it that no more fit in
            self._in.send(b"w")

    def wait(self, timeout: float) -> None:
        """Wait until woken, until a watched socket can be read, or until `timeout` seconds have passed."""
        if any(key.fileobj is self._out for key, _ in self._selector.select(max(timeout, 0.0))):
            self._out.recv(4096)

    def watch(self, sock: socket.socket) -> None:
        """Wait for a socket, too."""
        self._selector.register(sock, selectors.EVENT_READ)

    def unwatch(self, sock: socket.socket) -> None:
        """Wait for a socket no more."""
        self._selector.unregister(sock)

    def __enter__(self) -> Waker:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        self._in.close()
        self._out.close()
