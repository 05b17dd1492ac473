"""Run the source of one detached stream to its end, whoever reads it, and record how it ended.

The source runs in one task, in the Context of whoever started it; a sync one in a thread of its own, which the task
reads. Only the holder of the stream's lease may say that it goes on, and the end is an entry that seals the channel: of
all who would end it, the first does, and the others find it sealed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any, NamedTuple

from streamkit._engine.clock import Clock
from streamkit._engine.handoff import call_threadsafe, wait_in_loop
from streamkit._engine.register import logger, register
from streamkit._engine.source import Source, close_async, close_sync, is_async
from streamkit._engine.threads import CAP, start_thread
from streamkit.channels._ends import End
from streamkit.channels._entry import Entry
from streamkit.channels._log import Log
from streamkit.channels._position import Position
from streamkit.errors import LogFullError, LogUnavailableError, PipeClosedError, SealedError
from streamkit.pipe import Pipe

PAUSE = 0.5
"""Seconds until a log that is down, or full, is tried again."""


class Setting(NamedTuple):
    """What all producers of one `Detached` share."""

    log: Log
    clock: Clock
    lease: float
    grace: float
    waits: bool
    encode: Callable[[object], bytes]
    end: Callable[[End, Exception | None], bytes]
    call: Callable[[Callable[[], Any]], Awaitable[Any]]


class Producer:
    """One source that is being run in this process."""

    def __init__(self, setting: Setting, channel: str, owner: str, begun: Position, source: Source) -> None:
        self.channel = channel
        self._setting = setting
        self._owner = owner
        self._last = begun
        self._source = source
        self._ending: End | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    # -- from outside --------------------------------------------------------------------------------------------

    def begin(self, context: Context, over: Callable[[], object]) -> None:
        """Start on the running loop; `over` is called when all is recorded."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run(), context=context)
        self._renewing = self._loop.create_task(self._renew())
        self._setting.log.watch(self.channel, self._told)
        register().listeners.add(self.drain)
        if register().leaving:
            self.drain()

        def ended(_: object) -> None:
            register().listeners.discard(self.drain)
            self._setting.log.unwatch(self.channel, self._told)
            if self._renewing is not None:
                self._renewing.cancel()
            over()

        self._task.add_done_callback(ended)

    def drain(self) -> None:
        """Let it finish within the grace, and record it as lost then; from any thread."""
        loop = self._loop
        if loop is not None:
            setting = self._setting
            call_threadsafe(loop, lambda: setting.clock.call_later(loop, setting.grace, lambda: self.stop("lost")))

    def stop(self, end: End) -> None:
        """End the source where it waits; on its loop."""
        if self._task is not None and self._ending is None and not self._task.done():
            self._ending = end
            self._task.cancel()

    @property
    def runs(self) -> bool:
        """Whether its loop runs, in another thread than the caller's, and it has not ended."""
        return self._loop is not None and self._loop.is_running()

    async def wait(self) -> None:
        """Wait until all is recorded; on its loop."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _told(self, entries: list[Entry] | None) -> None:
        """Hear of an end that somebody else has recorded."""
        if self._loop is not None and (entries is None or any(entry.sealed for entry in entries)):
            call_threadsafe(self._loop, lambda: self._loop and self._loop.create_task(self._look()))

    async def _look(self) -> None:
        try:
            page = await self._setting.call(lambda: self._setting.log.page(self.channel, None, 0))
        except LogUnavailableError:
            return  # the next renewal looks again
        if page.sealed:
            self.stop("cancelled")

    async def _renew(self) -> None:
        setting = self._setting
        while True:
            await wait_in_loop(lambda _: True, setting.lease / 3, setting.clock)
            try:
                await setting.call(lambda: setting.log.hold(self.channel, self._owner, setting.lease))
            except LogUnavailableError as exc:
                logger.warning("The lease of %r is not renewed: %s", self.channel, exc)
            await self._look()

    # -- the task ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        end: End = "lost"
        error: Exception | None = None
        try:
            end, error = await self._produce()
        except asyncio.CancelledError:
            end = self._ending or "lost"  # else the loop itself is ending
        finally:
            await self._record(end, error)

    async def _produce(self) -> tuple[End, Exception | None]:
        """Store what the source gives; return how it ended."""
        source: Any = self._source
        items: Any = None
        try:
            source = source if is_async(source) else _in_thread(source)
            items = aiter(source)
            async for item in items:
                await self._store(self._setting.encode(item))
        except SealedError:
            return "cancelled", None
        except Exception as exc:
            logger.error("The source of the detached stream %r failed", self.channel, exc_info=exc)
            return "failed", exc
        finally:
            if items is not None:
                await close_async(items, source)
        return "done", None

    async def _store(self, payload: bytes) -> None:
        """Append one entry, after whatever keeps the log from taking it."""
        log = self._setting.log
        while True:
            try:
                appended = await self._setting.call(lambda: log.append(self.channel, payload, keep=True))
            except LogFullError:
                if not self._setting.waits:
                    raise
            except LogUnavailableError:
                pass
            else:
                self._last = appended.position
                return
            await wait_in_loop(lambda _: True, PAUSE, self._setting.clock)
            if await self._was_stored(payload):
                return

    async def _was_stored(self, payload: bytes) -> bool:
        """Tell whether an entry is there of which no reply came; nobody else appends but an end."""
        last = self._last
        try:
            page = await self._setting.call(lambda: self._setting.log.page(self.channel, last, 1))
        except LogUnavailableError:
            return False
        if page.gap is None and page.entries and page.entries[0].payload == payload:
            self._last = page.entries[0].position
            return True
        return False

    async def _record(self, end: End, error: Exception | None) -> None:
        """Seal the channel, unless somebody has, and give the lease back."""
        log, payload = self._setting.log, self._setting.end(end, error)

        def record() -> None:
            try:
                log.append(self.channel, payload, seal=True)
            except SealedError:
                pass
            finally:
                log.release(self.channel, self._owner)

        try:
            await self._setting.call(record)
        except LogUnavailableError as exc:
            logger.warning("The end of %r was not recorded, and is found by its lease: %s", self.channel, exc)


def _in_thread(source: Any) -> Pipe:
    """Return what a sync source gives, iterated and closed in a daemon thread of its own.

    Raises:
        TooManyStreamsError: As many threads run as `set_max_threads` allows.
    """
    pipe, context = Pipe(1), copy_context()

    def run() -> None:
        error: BaseException | None = None
        items = iter(source)
        try:
            for item in items:
                pipe.put(item)
        except PipeClosedError:
            pass
        except BaseException as exc:
            error = exc
        finally:
            try:
                close_sync(items, source)
            except Exception as exc:
                error = error or exc
            CAP.release()
            pipe.close(error)

    CAP.acquire()
    try:
        start_thread(lambda: context.run(run), "streamkit-detached")
    except BaseException:
        CAP.release()
        raise
    return pipe
