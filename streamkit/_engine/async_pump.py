"""Iterate, encode and close an async source in one asyncio task.

When a batch leaves: an item that took more than 0.5 ms goes before the source is resumed; quick ones gather and go when
the source suspends, after 0.5 ms, or when the buffer is full. After a batch the event loop gets a turn, so a source
that never awaits freezes nobody; one that has awaited before each of its batches so far needs none from us. One
delivery is in flight at a time, and a frame leaves the buffer when its delivery has returned: nothing is sent twice and
nothing is lost, also when the source raises.

The pump awaits the delivery itself, so a paced token costs no hop to another task. Whatever it awaits between two items
may be cancelled on behalf of a timeout that the source holds open across its `yield`; that error belongs to the source
and is thrown into it there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any

from streamkit._engine.clock import Timer
from streamkit._engine.delivery import ClientLeft, DeliveryFailed, sending_whole
from streamkit._engine.handoff import call_threadsafe
from streamkit._engine.hold import Hold
from streamkit._engine.outlet import Deliver, Outlet
from streamkit._engine.register import logger
from streamkit._engine.source import Resumed, as_error, throw_async
from streamkit._engine.stream import Encode, Stream

AT_ONCE = 0.0005
"""Seconds after a batch from which on the next item goes at once."""


class AsyncPump:
    """Runs one async source for one stream, in one `share`th of its buffer; made on the loop it is to run on.

    Nothing is delivered before `open`. `over` is done when the source has been closed: True; or has taken longer for it
    than `cleanup_timeout`: False; then a `watcher` is cancelled, a task that waits for something else meanwhile.
    `error` is what the stream ended with; None for a clean end and for one that was asked for. `completed` tells that
    everything was delivered, to the end; `stopping`, that the stream was told to end, or that its client has left.
    """

    def __init__(self, stream: Stream, *, grace: float | None = None, hold: Hold | None = None, share: int = 1) -> None:
        self.stream = stream
        self._share = share
        self._hold = hold
        self._loop = loop = asyncio.get_running_loop()
        self.out = Outlet(stream, loop, self._end_first_turn)
        self._side_task: asyncio.Task[None] | None = None
        self.stopping = self.completed = self._started = self._closing = self._gathering = False
        self.error: BaseException | None = None
        self._cleanup_limit: Timer | None = None
        self.watcher: asyncio.Task[Any] | None = None
        self._first_turn: asyncio.Future[None] | None = loop.create_future()
        self.over: asyncio.Future[bool] = loop.create_future()
        self.task = loop.create_task(self._run(), context=stream.context)
        self.task.add_done_callback(self._finish, context=stream.context)
        if grace is None:
            loop.call_soon(self._end_first_turn)  # queued behind the task's first step: runs when the source suspends
        else:
            loop.call_later(grace, self._end_first_turn)

    # -- from outside --------------------------------------------------------------------------------------------

    async def begun(self) -> None:
        """Wait until the source has suspended once (or `grace` has passed), has something to send, or has ended."""
        if self._first_turn is not None:
            await asyncio.shield(self._first_turn)

    def open(self, deliver: Deliver, *, to_server: bool) -> None:
        """Let frames go to `deliver` from now on: the server's own `send`, or what takes them elsewhere."""
        running = not self.stopping and not self._closing
        self.out.open(deliver, self._fill if to_server and running else None)
        self._loop.call_soon(self._flush_aside)

    def end_early(self) -> None:
        """Stop, from any thread, because the stream's life is to end."""
        call_threadsafe(self._loop, self._end_early)

    def _end_early(self) -> None:
        clean = self.stream.life.clean
        if self.stream.leads or not clean:  # else what is inside ends it
            self.stop(patiently=clean)

    def stop(self, *, patiently: bool = False) -> None:
        """End the source: CancelledError where it awaits. Harmless when it is ending already.

        With `patiently` a delivery that is under way goes on, until a second call without it.
        """
        first, self.stopping = not self.stopping, True
        if not patiently:
            self.out.give_up(besides=self.task if first else None)  # which is cancelled below
        if first:
            self._limit_cleanup()
            if self._started and not self._closing:  # a task that is cancelled before it starts would close nothing
                self.task.cancel()

    async def finished(self) -> bool:
        """Wait for the source's cleanup; False, and a log record, when it took longer than `cleanup_timeout`."""
        return await asyncio.shield(self.over)

    # -- the task ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        self._started, items = True, None
        try:
            async with self.stream.around.in_task():
                try:
                    items = None if self.stopping else aiter(self.stream.source)  # type: ignore[arg-type]
                    await sending_whole(self._iterate_to_end(items), self.out)
                except (Exception, asyncio.CancelledError) as exc:
                    self._closing = True
                    self._failed(exc)  # before the source is closed, which may take forever
                finally:
                    self._closing = True
                    self._limit_cleanup()
                    await self.stream.aclose(items)
                if self.error is not None:
                    raise self.error  # what the host has put around the source may act on it
        except Exception as exc:
            if exc is not self.error:
                self._failed(exc)

    def _failed(self, error: Exception | asyncio.CancelledError) -> None:
        if isinstance(error, DeliveryFailed):
            self._delivery_failed(error)
        elif not self.stopping:
            self.error = self.error or as_error(error)
        elif isinstance(error, Exception):
            logger.error("Closing %r failed", self.stream.source, exc_info=error)

    async def _iterate_to_end(self, items: Any) -> None:
        """Pull the source dry and send what it gave."""
        if self.stopping:
            raise asyncio.CancelledError
        try:
            first = await self._hold.first_async(items) if self._hold else []
            encode = self.stream.encoder()  # the format of a primed source is known only now
            if await self._send_first(first, items, encode):
                await self._iterate(items, encode)
            last = self.stream.end_frame
        except DeliveryFailed:
            raise
        except (Exception, asyncio.CancelledError) as exc:
            if self.stopping:
                raise
            if self.out.frames and self._first_turn is None:
                await self.out.flush()  # what came before the error goes before it
            last = self.stream.failed(as_error(exc), self.out.index)
        if self.stopping:
            raise asyncio.CancelledError  # the source swallowed ours
        if last:
            self.out.append(last)
        while self.out.frames or self.out.sender is not None:
            await self.out.flush()
        self.completed = True

    async def _send_first(self, first: list[object], items: AsyncIterator[object], encode: Encode) -> bool:
        """Send what a primed source was held at, if anything; False when the source has ended meanwhile."""
        for item in first:
            self.out.append(encode(item))
        return not first or await self._hand_over(items, encode)

    async def _iterate(self, items: AsyncIterator[object], encode: Encode) -> None:
        out, limit = self.out, max(1, self.stream.policy.buffer_size // self._share)
        append, clock = out.frames.append, perf_counter
        added, room, due, considerate = 0, limit, clock() + AT_ONCE, True
        async for item in Resumed(items):
            if self.stopping:
                raise asyncio.CancelledError  # the source swallowed ours
            frame = encode(item)
            append(frame)
            added += len(frame)
            now = clock()
            if now > due or added >= room:
                out.size += added
                considerate, out.waited = considerate and out.waited, False
                try:
                    now = await out.flush(now)
                    if not considerate:
                        await asyncio.sleep(0)
                        now = clock()
                except asyncio.CancelledError as exc:
                    if not await self._hand_over(items, encode, exc):
                        return
                    now = clock()
                if self.stopping:
                    raise asyncio.CancelledError  # the send swallowed ours
                added, room, due = 0, limit, now + AT_ONCE
            elif not self._gathering:
                self._gathering = True
                self._loop.call_soon(self._source_suspended)
                out.size += added
                added, room = 0, limit - out.size

    async def _hand_over(
        self, items: AsyncIterator[object], encode: Encode, foreign: asyncio.CancelledError | None = None
    ) -> bool:
        """Send what there is and give the loop a turn; False when the source has ended meanwhile.

        A cancellation that was meant for the source is thrown into it, and the item it answers with is sent too.
        """
        while True:
            if foreign is not None:
                if self.stopping:
                    raise foreign
                try:
                    self.out.append(encode(await throw_async(items, foreign)))
                except StopAsyncIteration:
                    return False
            try:
                await self.out.flush()
                await asyncio.sleep(0)
            except asyncio.CancelledError as exc:
                foreign = exc
            else:
                break
        if self.stopping:
            raise asyncio.CancelledError  # the send swallowed ours
        return True

    # -- sending -------------------------------------------------------------------------------------------------

    def _fill(self) -> Any:
        """Send the filler, unless the client is slow; return what is to be awaited, where it has not left at once."""
        if self._busy_aside:
            return None
        self.out.append(self.stream.format.keepalive, item=False)
        flushing = self._flush_all_aside()
        try:
            awaited = flushing.send(None)
        except StopIteration:
            return None
        return sending_whole(flushing, self.out, (awaited,))

    def _source_suspended(self) -> None:
        self._gathering = False
        if self.out.frames:
            self._end_first_turn()
        self._flush_aside()

    def _flush_aside(self) -> None:
        """Send from a task of its own: the source is suspended, or silent."""
        if self.out.frames and not self._busy_aside:
            self._side_task = self._loop.create_task(self._send_aside())

    @property
    def _busy_aside(self) -> bool:
        """Whether nothing may be sent beside the source's own task, or something is sent already."""
        out, task = self.out, self._side_task
        busy = out.sender is not None or not (task is None or task.done())
        return busy or self.stopping or self._closing or out.deliver is None

    async def _send_aside(self) -> None:
        await sending_whole(self._flush_all_aside(), self.out)

    async def _flush_all_aside(self) -> None:
        try:
            while self.out.frames and not self.stopping:
                await self.out.flush()
        except DeliveryFailed as failure:
            self._delivery_failed(failure)
        finally:
            self._side_task = None

    def _delivery_failed(self, failure: DeliveryFailed) -> None:
        if not isinstance(failure, ClientLeft):
            self.error = failure.__cause__
        self.stop()

    # -- the end -------------------------------------------------------------------------------------------------

    def _limit_cleanup(self) -> None:
        self.out.stop_fillers()
        if self._cleanup_limit is None:
            timeout = self.stream.policy.cleanup_timeout
            self._cleanup_limit = self.stream.clock.call_later(self._loop, timeout, self._abandon)

    def _abandon(self) -> None:
        timeout = self.stream.policy.cleanup_timeout
        logger.warning("The cleanup of %r did not end within %g s and is abandoned", self.stream.source, timeout)
        self.task.cancel()
        self._finish()

    def _finish(self, ended: asyncio.Task[None] | None = None) -> None:
        if self._cleanup_limit is not None:
            self._cleanup_limit.cancel()
        self._end_first_turn()
        if not self.over.done():
            self.over.set_result(ended is not None)
        if self.watcher is not None:
            self.watcher.cancel()
            self.watcher = None

    def _end_first_turn(self) -> None:
        if self._first_turn is not None:
            self._first_turn.set_result(None)
            self._first_turn = None
