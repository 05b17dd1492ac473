"""The life of one open stream: whose it is, what it has sent, and why it ends.

Each drain opens the life of its stream when it starts and closes it when the source has been closed. Between the two
anyone may ask for the end, from any thread: `end` now, `drain` when the policy allows. The drain sees `ending` and then
looks at `clean`: True, and it sends the `farewell` and ends the body; False, and it cuts the connection, so that no
client takes half an answer for a whole one.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Literal

from streamkit._engine.alarm import Alarm
from streamkit._engine.clock import SYSTEM, TIME, Clock
from streamkit._engine.limit import StreamLimit
from streamkit._engine.policy import StreamPolicy
from streamkit._engine.register import check_key, logger, register
from streamkit._engine.signals import drain_on_signals
from streamkit._format import Format

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

Reason = Literal["completed", "disconnected", "slow_client", "error", "drained", "max_age", "closed"]

Chunk = bytes  # by another name: a Life has figures of that one

RECONNECT = (1.0, 5.0)
"""Seconds after which a browser that was sent away comes back: a range, so that they do not all come at once."""


@dataclass(frozen=True, slots=True)
class StreamStats:
    """What one stream has been, for its `on_close`.

    Attributes:
        age: Seconds from its start to its end.
        frames: How many items were encoded and handed on.
        bytes: How many bytes of body the server took, keepalives among them.
        slowest_flush: Seconds of the longest wait for the server to take some.
        key: Whose stream it was.
    """

    age: float
    frames: int
    bytes: int
    slowest_flush: float
    key: Hashable


OnClose = Callable[[Reason, StreamStats], object]


@dataclass(slots=True, weakref_slot=True, eq=False, repr=False, match_args=False)
class Life:
    """One stream as the process knows it. Nothing happens before `open`; after `close` nothing more does."""

    context: Context
    clock: Clock = SYSTEM
    policy: StreamPolicy = field(default_factory=StreamPolicy)
    format: Format = field(default_factory=Format)
    key: Hashable = None
    on_close: OnClose | None = None
    limit: StreamLimit | None = None
    is_browser: bool = False  # a GET that accepts an event stream: EventSource, which comes back by itself
    lacks_id: bool = False  # such a one that was sent no id yet, after which it could go on
    failed: bool = False
    has_taken_leave: bool = False
    reason: Reason | None = None
    clean: bool = False
    draining: bool = False
    frames: int = 0
    bytes: int = 0
    slowest_flush: float = 0.0
    _opened_at: float | None = None
    _asked_at: float = 0.0
    _pid: int = 0
    _closed: bool = False
    _stops: tuple[Callable[[], object], ...] = ()
    _loop: AbstractEventLoop | None = None
    _alarm: Alarm | None = None

    def bind(
        self,
        policy: StreamPolicy,
        format: Format,
        *,
        on_close: OnClose | None = None,
        key: Hashable = None,
        limit: StreamLimit | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        """Set what the stream's response says.

        Raises:
            TypeError: An option is of the wrong kind.
        """
        if on_close is not None and (not callable(on_close) or iscoroutinefunction(on_close)):
            raise TypeError(f"on_close must be a plain function of a reason and its StreamStats, not {on_close!r}")
        if limit is not None and not isinstance(limit, StreamLimit):
            raise TypeError(f"limit must be a StreamLimit(…), not {limit!r}")
        check_key(key)
        self.policy, self.format, self.clock = policy, format, TIME.get(lambda _: clock)(self)
        self.on_close, self.key, self.limit = on_close, key, limit

    # -- the drain's side ----------------------------------------------------------------------------------------

    def asked_by(self, method: str, accept: str | None) -> None:
        """Take note of the request."""
        self.lacks_id = self.is_browser = method == "GET" and "text/event-stream" in (accept or "").lower()

    def limit_reached(self) -> int | None:
        """Return how many streams are allowed, where `open` would raise."""
        return None if self.limit is None or self._opened_at is not None else self.limit.reached(self.key)

    def open(self, loop: AbstractEventLoop | None = None) -> bool:
        """Count the stream as open.

        Args:
            loop: Where timers may run; without one, on the loop that streamkit keeps, if any are needed.

        Returns:
            Whether the caller is the one to close it: a body inside another one is the same stream.

        Raises:
            TooManyStreamsError: The stream's `StreamLimit` is reached.
        """
        if self._opened_at is not None:
            return False
        if self.policy.max_age is not None:
            self._alarm = Alarm(self.clock, loop)  # fails where its loop cannot be had: nothing counts the stream yet
        if self.limit is not None:
            self.limit.acquire(self.key)
        self._opened_at, self._loop, self._pid = self.clock.now(), loop, os.getpid()
        drain_on_signals()
        if self.policy.max_age is not None:
            age = self.policy.max_age * random.uniform(0.9, 1.0)  # noqa: S311 - spreads load, guards nothing
            self._later(age, lambda: self.drain("max_age"))
        register().add(self)
        if register().leaving:
            self.drain("drained")
        return True

    @contextmanager
    def opening(self, loop: AbstractEventLoop | None = None) -> Iterator[bool]:
        """Do as `open` does for what the block makes, and undo it where that fails: the stream is refused after all."""
        opened = self.open(loop)
        try:
            yield opened
        except BaseException:
            if opened and self._ends_here():
                register().remove(self, None)
            raise

    def stoppable_by(self, stop: Callable[[], object]) -> None:
        """Have `stop` called, from any thread, when the stream is to end; and again when it has not done so in time."""
        self._stops += (stop,)
        if self.ending:
            stop()

    @property
    def ending(self) -> bool:
        """Whether somebody has asked for the end."""
        return self.reason is not None

    @property
    def overdue(self) -> bool:
        """Whether the grace has passed since then."""
        return self.ending and self.clock.now() >= self._asked_at + self.policy.grace

    def flushed(self, chunk: Chunk, seconds: float) -> None:
        """Take note that the server took `chunk`, and how long that was."""
        self.bytes += len(chunk)
        if seconds > self.slowest_flush:  # noqa: PLR1730 - max() takes three times as long, for each chunk
            self.slowest_flush = seconds
        if self.lacks_id and (b"\nid:" in chunk or chunk.startswith(b"id:")):
            self.lacks_id = False

    def farewell(self) -> Chunk:
        """Return what a clean end says: when to come back (WHATWG HTML, 9.2.6, field `retry`).

        One line without a blank one: no client takes it for an event.
        """
        if not self.format.media_type.startswith("text/event-stream"):
            return b""
        least, most = RECONNECT
        if self.policy.retry is not None:
            least, most = self.policy.retry / 1000, self.policy.retry / 1000 + most - least
        return b"retry: %d\n" % (random.uniform(least, most) * 1000)  # noqa: S311 - spreads load, guards nothing

    def close(self, outcome: Reason) -> None:
        """Count the stream as ended and tell `on_close`. `outcome` is the reason where nobody asked for the end."""
        if not self._ends_here():
            return
        if outcome == "completed" and not self.has_taken_leave:
            self.reason = "error" if self.failed else "completed"  # it came before the end that was asked for
        self.reason = self.reason or outcome
        register().remove(self, self.reason)
        if self.on_close is not None:
            try:
                self.context.copy().run(self.on_close, self.reason, self.stats())
            except Exception:
                logger.exception("on_close of a stream failed")

    def retire(self) -> None:
        """Never open: the request gets another answer, which a host may send by the same way and counts as none."""
        if self._opened_at is None:
            self._opened_at, self._closed = self.clock.now(), True

    def _ends_here(self) -> bool:
        """Let go of what the stream holds; False where that was done, or is for the process that was forked."""
        if self._closed or self._pid != os.getpid():
            return False
        self._closed = True
        self._stops = ()
        if self.limit is not None:
            self.limit.release(self.key)
        if self._alarm is not None:
            self._alarm.call_off()
        return True

    # -- everybody else's ----------------------------------------------------------------------------------------

    @property
    def age(self) -> float:
        """Seconds since the stream was opened."""
        return 0.0 if self._opened_at is None else self.clock.now() - self._opened_at

    def stats(self) -> StreamStats:
        """Return what the stream has been so far."""
        return StreamStats(self.age, self.frames, self.bytes, self.slowest_flush, self.key)

    def end(self, reason: Reason) -> None:
        """End the stream now; from any thread. The first reason stays."""
        if self.reason is None and not self._closed:
            self.clean = reason != "slow_client" and self._may_be_cut()
            self.reason, self._asked_at = reason, self.clock.now()
            if self.clean and self._stops:  # else it ends when its host comes back for more, and the client reads
                self._later(self.policy.grace, self._cut)
            self._stop()

    def _cut(self) -> None:
        """Give up on a clean end: the client does not read what would be the last."""
        if not self._closed:
            self.clean = False
            self._stop()

    def _stop(self) -> None:
        for stop in self._stops:
            stop()

    def drain(self, reason: Reason) -> None:
        """End the stream as its policy says: now, or when its grace has passed; from any thread."""
        if self._may_be_cut():
            self.end(reason)
        elif not self.draining:
            self.draining = True
            self._later(self.policy.grace, lambda: self.end(reason))

    def _may_be_cut(self) -> bool:
        """Tell whether the client takes a clean end for what it is, and comes back for the rest."""
        return self.policy.drain == "cut" or (self.policy.drain == "auto" and self.is_browser and not self.lacks_id)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        """Have `call` called then, in place of what was to be called before."""
        if self._alarm is None:
            self._alarm = Alarm(self.clock, self._loop)
        self._alarm.set(seconds, call)
