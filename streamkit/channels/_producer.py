"""Run the source of one detached stream to its end, whoever reads it, and record how it ended.

The source runs in one task, in the Context of whoever started it; a sync one in a thread of its own, which the task
reads. A second task keeps the lease and hears whether somebody else has ended the stream. Nothing but the source's own
failure, the log's limit, a recorded end or the end of the process ends it: a log that is down is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from streamkit._engine.bodies import discard
from streamkit._engine.clock import Timer
from streamkit._engine.handoff import Handoff, call_threadsafe, wait_in_loop
from streamkit._engine.register import logger, register
from streamkit._engine.source import Resumed, as_error, close_async
from streamkit._engine.stream import PLAIN, Stream
from streamkit._engine.threads import running_loop
from streamkit.channels._ends import End, end_payload, told_of
from streamkit.channels._entry import OVERHEAD, Entry
from streamkit.channels._lease import PAUSE, Lease, Setting, key_of
from streamkit.channels._threaded import Threaded
from streamkit.errors import InBandError, LogFullError, LogUnavailableError, SealedError

SLACK = 1.0
"""Seconds that a producer has beyond its grace to close its source and record its end."""


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
        self._records_end = False
        self._lease = Lease(setting, channel, owner, lambda: self._stop("cancelled"))
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
        self._watching = self.loop.create_task(self._lease.keep())
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
            grace = self._setting.grace
            self._timer = self._setting.clock.call_later(self.loop, grace, self._leave)
            self._lease.shorten(grace + SLACK)

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
            call_threadsafe(self.loop, self._lease.hint)

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
            logger.error("The source of the detached stream %r failed", key_of(self.channel), exc_info=error)
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
            logger.exception("Closing the source of the detached stream %r failed", key_of(self.channel))

    async def _store(self, payload: bytes) -> bool:
        """Append one entry, after whatever keeps the log from taking it; False where the stream has ended."""
        log, setting = self._setting.log, self._setting
        key = str(self._stored)  # so that it is stored once, also where a reply was lost
        while True:
            try:
                await setting.calls.run(lambda: log.append(self.channel, payload, key=key, keep=True))
            except SealedError:
                return False
            except LogFullError as exc:
                if not setting.waits or len(payload) + OVERHEAD > log.max_bytes:
                    self._limit = exc.limit
                    raise
            except LogUnavailableError as exc:
                self._lease.log_is_down(exc)
                self._lease.hint()
            else:
                self._stored += 1
                return True
            await wait_in_loop(lambda _: True, PAUSE, setting.clock)

    async def _record(self, payload: bytes) -> None:
        """Record the end; where the process is leaving, a log that is down is not waited for."""
        setting = self._setting
        while True:
            try:
                await setting.calls.run(lambda: setting.records.end(self.channel, self.owner, payload))
            except LogUnavailableError as exc:
                self._lease.log_is_down(exc)
                if self._leaves:
                    logger.warning(
                        "The end of %r was not recorded, and is found by its lease: %s", key_of(self.channel), exc
                    )
                    return
            else:
                self._lease.log_answers()
                return
            await wait_in_loop(lambda _: True, PAUSE, setting.clock)
