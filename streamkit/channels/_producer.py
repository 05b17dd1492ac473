"""Run the source of one detached stream to its end, whoever reads it, and record how it ended.

The source runs in one task, in the Context of whoever started it; a sync one in a thread of its own, which the task
reads. A second task renews the lease and looks whether somebody else has ended the stream. Nothing but the source's own
failure, the log's limit, a recorded end or the end of the process ends it: a log that is down is waited for.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

from streamkit._engine.bodies import discard
from streamkit._engine.clock import Clock, Timer
from streamkit._engine.handoff import Handoff, call_threadsafe, wait_in_loop
from streamkit._engine.register import logger, register
from streamkit._engine.source import Resumed, as_error, close_async
from streamkit._engine.stream import PLAIN, Stream
from streamkit._engine.threads import running_loop
from streamkit.channels._ends import PREFIX, End, end_payload, told_of
from streamkit.channels._entry import OVERHEAD, Entry
from streamkit.channels._log import Log
from streamkit.channels._records import Records
from streamkit.channels._threaded import Threaded
from streamkit.errors import InBandError, LogFullError, LogUnavailableError, SealedError

PAUSE = 0.5
"""Seconds until a log that is down, or full, is tried again."""

SLACK = 1.0
"""Seconds that a producer has beyond its grace to close its source and record its end."""


class Setting(NamedTuple):
    """What all producers of one `Detached` share."""

    log: Log
    records: Records
    clock: Clock
    lease: float
    grace: float
    waits: bool
    encode: Callable[[object], bytes]
    error_text: Callable[[Exception], str] | None
    call: Callable[[Callable[[], Any]], Awaitable[Any]]


class Producer:
    """One source that is being run in this process.

    Attributes:
        over: Ends when all is recorded, or cannot be.
    """

    def __init__(
        self,
        setting: Setting,
        channel: str,
        owner: str,
        stream: Stream,
        *,
        source: Any,
        loop: asyncio.AbstractEventLoop,
        gone: Callable[[], object],
    ) -> None:
        self.channel = channel
        self.owner = owner
        self.loop = loop
        self.over: Handoff[None] = Handoff(1)
        self._setting = setting
        self._stream = stream
        self._source = source
        self._is_threaded = isinstance(source, Threaded)  # and so is in the Context, and what is around, itself
        self._gone = gone
        self._stored = 0
        self._ending: End | None = None
        self._limit: str | None = None
        self._leaves = False
        self._due = 0.0  # when the lease is renewed next
        self._until: float | None = None  # when it is given up, in a process that is told to leave
        self._records_end = False
        self._is_down = False
        self._is_hinted = False
        self._wake: Callable[[], object] | None = None
        self._timer: Timer | None = None
        self._task: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    # -- from outside --------------------------------------------------------------------------------------------

    @property
    def runs(self) -> bool:
        """Whether it can come to its end."""
        return self.loop.is_running() and not self.over.ended

    def start(self) -> None:
        """Begin; from any thread."""
        if isinstance(self._source, Threaded):
            self._source.start()  # from here, since under gevent it runs beside its caller
        if running_loop() is self.loop:
            self._begin()
        else:
            call_threadsafe(self.loop, self._begin)

    def discard(self) -> None:
        """Close a source that is never going to be started."""
        if isinstance(self._source, Threaded):
            self._source.forget()
        discard(self._stream)

    def _begin(self) -> None:
        context = self._stream.context.copy() if self._is_threaded else self._stream.context
        self._task = self.loop.create_task(self._run(), context=context)
        self._watching = self.loop.create_task(self._watch())
        self._task.add_done_callback(self._ended)
        with suppress(RuntimeError):  # no thread can be had, as when the interpreter is leaving: renewals look as well
            self._setting.log.watch(self.channel, self._told)
        register().listeners.add(self.drain)
        if register().leaving:
            self.drain()

    def _ended(self, _: object) -> None:
        register().listeners.discard(self.drain)
        self._setting.log.unwatch(self.channel, self._told)
        if self._watching is not None:
            self._watching.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._gone()
        self.over.end()

    def drain(self) -> None:
        """Let it finish within the grace, and record it as lost then; from any thread."""
        call_threadsafe(self.loop, self._drain)

    def _drain(self) -> None:
        """Leave within the grace; the lease is shortened to that, for a process that is gone before it can record."""
        if self._timer is None and not self.over.ended:
            clock, grace = self._setting.clock, self._setting.grace
            self._timer = clock.call_later(self.loop, grace, self._leave)
            self._due, self._until = clock.now(), clock.now() + grace + SLACK
            self._hint()

    def _leave(self) -> None:
        self._leaves = True
        self._stop("lost")

    def _stop(self, end: End) -> None:
        """End the source where it waits."""
        if self._task is not None and self._ending is None and not self._records_end:
            self._ending = end
            self._task.cancel()

    def _told(self, entries: list[Entry] | None) -> None:
        """Hear of an end that somebody else has recorded; in any thread."""
        if entries is None or any(entry.sealed for entry in entries):
            call_threadsafe(self.loop, self._hint)

    # -- the task that watches -----------------------------------------------------------------------------------

    def _hint(self) -> None:
        self._is_hinted = True
        wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    def _when_hinted(self, wake: Callable[[], object]) -> bool:
        self._wake = wake
        return not self._is_hinted

    async def _watch(self) -> None:
        """Renew the lease in time, and look whether an end was recorded when there is a hint."""
        clock, pause = self._setting.clock, self._setting.lease / 3
        self._due = self._due or clock.now() + pause
        while True:
            self._is_hinted, renews = False, clock.now() >= self._due
            if renews:
                self._due = clock.now() + pause
            if not await self._renew_or_look(renews=renews):
                self._due = clock.now() + min(PAUSE, pause)  # the lease may have run out when the log is back
            await wait_in_loop(self._when_hinted, max(self._due - clock.now(), 0.0), clock)

    async def _renew_or_look(self, *, renews: bool) -> bool:
        """Return whether the log has answered."""
        setting = self._setting
        left = math.inf if self._until is None else max(self._until - setting.clock.now(), 0.1)

        def ask() -> bool:
            if renews:
                setting.records.renew(self.channel, self.owner, min(setting.lease, left))
            return setting.records.is_sealed(self.channel)

        try:
            if await setting.call(ask):
                self._stop("cancelled")
        except LogUnavailableError as exc:
            self._down(exc)
            return False
        self._back()
        return True

    def _down(self, exc: Exception) -> None:
        if not self._is_down:
            logger.warning("The detached stream %r waits for its log: %s", self._key, exc)
        self._is_down = True

    def _back(self) -> None:
        if self._is_down:
            logger.warning("The detached stream %r goes on: its log is back", self._key)
        self._is_down = False

    @property
    def _key(self) -> str:
        return self.channel.removeprefix(PREFIX)

    # -- the task that produces ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        end, text = await self._outcome()
        self._records_end = True
        await self._record(end_payload(end, text))

    async def _outcome(self) -> tuple[End, str | None]:
        """Run the source; return how it ended, and what its readers are told of that."""
        try:
            async with PLAIN.in_task() if self._is_threaded else self._stream.around.in_task():
                await self._produce()
        except BaseException as exc:
            if isinstance(exc, asyncio.CancelledError) and (task := asyncio.current_task()) and task.cancelling():
                return self._ending or "lost", None  # else the loop itself is ending
            error = exc.error if isinstance(exc, InBandError) else as_error(exc)
            logger.error("The source of the detached stream %r failed", self._key, exc_info=error)
            return self._ending or "failed", self._text(error)
        return self._ending or "done", None

    def _text(self, error: Exception) -> str | None:
        if self._limit is not None:
            return f"The answer is longer than its log keeps: {self._limit}."
        return told_of(error, self._setting.error_text)

    async def _produce(self) -> None:
        """Store what the source gives."""
        items: Any = None
        try:
            items = aiter(self._source)
            async for item in Resumed(items):
                if self._ending is not None or not await self._store(self._setting.encode(item)):
                    return
        except InBandError as exc:
            for item in exc.items:
                await self._store(self._setting.encode(item))
            raise
        finally:
            await self._close(items)

    async def _close(self, items: Any) -> None:
        try:
            await close_async(self._source if items is None else items, self._source)
        except Exception:
            logger.exception("Closing the source of the detached stream %r failed", self._key)

    async def _store(self, payload: bytes) -> bool:
        """Append one entry, after whatever keeps the log from taking it; False where the stream has ended."""
        log, setting = self._setting.log, self._setting
        key = str(self._stored)  # so that it is stored once, also where a reply was lost
        while True:
            try:
                await setting.call(lambda: log.append(self.channel, payload, key=key, keep=True))
            except SealedError:
                return False
            except LogFullError as exc:
                if not setting.waits or len(payload) + OVERHEAD > log.max_bytes:
                    self._limit = exc.limit
                    raise
            except LogUnavailableError as exc:
                self._down(exc)
                self._hint()
            else:
                self._stored += 1
                return True
            await wait_in_loop(lambda _: True, PAUSE, setting.clock)

    async def _record(self, payload: bytes) -> None:
        """Record the end; where the process is leaving, a log that is down is not waited for."""
        setting = self._setting
        while True:
            try:
                await setting.call(lambda: setting.records.end(self.channel, self.owner, payload))
            except LogUnavailableError as exc:
                self._down(exc)
                if self._leaves:
                    logger.warning("The end of %r was not recorded, and is found by its lease: %s", self._key, exc)
                    return
            else:
                self._back()
                return
            await wait_in_loop(lambda _: True, PAUSE, setting.clock)
