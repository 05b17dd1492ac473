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
from collections.abc import Callable
from time import perf_counter
from typing import Any

from streamkit._engine.clock import Timer
from streamkit._engine.delivery import ClientLeft, DeliveryFailed
from streamkit._engine.handoff import call_threadsafe
from streamkit._engine.hold import Hold
from streamkit._engine.message import BODY, Send
from streamkit._engine.outlet import Outlet
from streamkit._engine.register import logger
from streamkit._engine.source import Resumed, as_error, throw_async
from streamkit._engine.stream import Encode, Stream

AT_ONCE = 0.0005
"""Seconds after a batch from which on the next item goes at once."""


class AsyncPump(Outlet):
    """Runs one async source for one stream, in one `share`th of its buffer; made on the loop it is to run on.

    Attributes:
        stopping: Whether the stream was told to end, or its client has left.
        completed: Whether everything was delivered, to the end.
        error: What the stream ended with; None for a clean end and for one that was asked for.
        closed: True once the source was closed; False once that has taken longer than `cleanup_timeout`; None before.
        when_closed: Called then. `watcher`, a task that waits for something else meanwhile, is cancelled.
    """

    __slots__ = (
        "_cleanup_limit", "_closing", "_first_turn", "_gathering", "_hold", "_share", "_started", "_waits_for_end",
        "closed", "completed", "error", "stopping", "task", "watcher", "when_closed",
    )  # fmt: skip

    def __init__(self, stream: Stream, *, grace: float | None = None, hold: Hold | None = None, share: int = 1) -> None:
        super().__init__(stream)
        self._hold, self._share, loop = hold, share, self._loop
        self.stopping = self.completed = self._started = self._closing = self._gathering = False
        self.error: BaseException | None = None
        self._cleanup_limit: Timer | None = None
        self.watcher: asyncio.Task[Any] | None = None
        self._first_turn: asyncio.Future[None] | None = loop.create_future()
        self.closed: bool | None = None
        self.when_closed: Callable[[], None] | None = None
        self._waits_for_end: asyncio.Future[None] | None = None
        self.task = loop.create_task(self._run(), context=stream.context)
        self.task.add_done_callback(self._finish, context=stream.context)
        if grace is None:
            loop.call_soon(self.needed)  # queued behind the task's first step: runs when the source suspends
        else:
            loop.call_later(grace, self.needed)

    # -- from outside --------------------------------------------------------------------------------------------

    async def begun(self) -> None:
        """Wait until the source has suspended once (or `grace` has passed), has something to send, or has ended."""
        if self._first_turn is not None:
            await asyncio.shield(self._first_turn)

    def open(self, send: Send, *, to_server: bool) -> None:
        """Do as an outlet does, and send what waits for it."""
        super().open(send, to_server=to_server)
        self._loop.call_soon(self.flush_aside)

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
            self.give_up(besides=self.task if first else None)  # which is cancelled below
        if first:
            self._limit_cleanup()
            if self._started and not self._closing:  # a task that is cancelled before it starts would close nothing
                self.task.cancel()

    async def finished(self) -> bool:
        """Wait for the source's cleanup; False, and a log record, when it took longer than `cleanup_timeout`."""
        while self.closed is None:
            self._waits_for_end = self._waits_for_end or self._loop.create_future()
            await asyncio.shield(self._waits_for_end)
        return self.closed

    # -- the task ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        self._started, items = True, None
        try:
            async with self.stream.around.in_task():
                try:
                    items = None if self.stopping else aiter(self.stream.source)  # type: ignore[arg-type]
                    try:
                        encode = await self.whole(self._begin(items))
                        await self.whole(self._iterate(items, encode))
                        last = self.stream.end_frame
                    except (Exception, asyncio.CancelledError) as exc:
                        last = await self._last_of_failed(exc)
                    await self.whole(self._send_last(last))
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
            self.delivery_failed(error)
        elif not self.stopping:
            self.error = self.error or as_error(error)
        elif isinstance(error, Exception):
            logger.error("Closing %r failed", self.stream.source, exc_info=error)

    async def _last_of_failed(self, error: Exception | asyncio.CancelledError) -> bytes:
        """Send what came before the source's error, and return what is sent for it."""
        if self.stopping or isinstance(error, DeliveryFailed):
            raise error
        if self.frames and self._first_turn is None:
            await self.whole(self.flush())
        return self.stream.failed(as_error(error), self.index)

    async def _send_last(self, last: bytes) -> None:
        if self.stopping:
            raise asyncio.CancelledError  # the source swallowed ours
        if last:
            self.append(last)
        while self.frames or self.sender is not None:
            await self.flush()
        self.completed = True

    async def _begin(self, items: Any) -> Encode:
        """Return what encodes the items; of a source that was primed, send the first."""
        if self.stopping:
            raise asyncio.CancelledError
        first = await self._hold.first_async(items) if self._hold else []
        encode = self.stream.encoder()  # the format of a primed source is known only now
        for item in first:
            self.append(encode(item))
        if first:
            await self._hand_over(items, encode)
        return encode

    async def _iterate(self, items: Any, encode: Encode) -> None:
        """Pull the source dry and send what it gives."""
        frames, clock = self.frames, perf_counter
        limit = max(1, self.stream.policy.buffer_size // self._share)
        added, room, due, considerate = 0, limit, clock() + AT_ONCE, True
        async for item in Resumed(items):
            if self.stopping:
                raise asyncio.CancelledError  # the source swallowed ours
            frame = encode(item)
            now = clock()
            if now <= due or frames or not (considerate and self.waited and frame) or (send := self.ready) is None:
                frames.append(frame)
                added += len(frame)
                if now <= due and added < room:
                    if not self._gathering:
                        self._gathering = True
                        self._loop.call_soon(self._source_suspended)
                        self.size += added
                        added, room = 0, limit - self.size
                    continue
                considerate, send = considerate and self.waited, None
            try:
                if send is not None:  # what `flush` does, for the token that comes alone: at half the cost
                    self.waited, self.sending = False, True
                    await send({"type": BODY, "body": frame, "more_body": True})
                    now = self.sent(frame, 1, now)
                else:
                    self.size += added
                    added, room = 0, limit
                    now = await self._flush(now, turn=not considerate)
            except asyncio.CancelledError as exc:
                alone = self.end_delivery() and send is not None
                if not await self._hand_over(items, encode, exc, unsent=frame if alone else b""):
                    return
                now = clock()
            except Exception as exc:
                self.failed(exc)
            due = now + AT_ONCE

    async def _flush(self, now: float, *, turn: bool) -> float:
        """Send what there is, and give the loop a turn where it had none; return what `perf_counter` says then."""
        self.waited = False
        now = await self.flush(now)
        if turn:
            await asyncio.sleep(0)
            now = perf_counter()
        return now

    async def _hand_over(
        self, items: Any, encode: Encode, foreign: asyncio.CancelledError | None = None, *, unsent: bytes = b""
    ) -> bool:
        """Send what there is, `unsent` first, and give the loop a turn; False when the source has ended meanwhile.

        A cancellation that was meant for the source is thrown into it, and the item it answers with is sent too.
        """
        if unsent:
            self.append(unsent)
        while True:
            if foreign is not None:
                if self.stopping:
                    raise foreign
                try:
                    self.append(encode(await throw_async(items, foreign)))
                except StopAsyncIteration:
                    return False
            try:
                await self.flush()
                await asyncio.sleep(0)
            except asyncio.CancelledError as exc:
                foreign = exc
            else:
                break
        if self.stopping:
            raise asyncio.CancelledError  # the send swallowed ours
        return True

    def _source_suspended(self) -> None:
        self._gathering = False
        if self.frames:
            self.needed()
        self.flush_aside()

    def delivery_failed(self, failure: DeliveryFailed) -> None:
        if not isinstance(failure, ClientLeft):
            self.error = failure.__cause__
        self.stop()

    # -- the end -------------------------------------------------------------------------------------------------

    def _limit_cleanup(self) -> None:
        self.stop_fillers()
        self._ending = True
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
        self.needed()
        if self.closed is not None:
            return
        self.closed = ended is not None
        if self._waits_for_end is not None:
            self._waits_for_end.set_result(None)
        if self.watcher is not None:
            self.watcher.cancel()
            self.watcher = None
        if self.when_closed is not None:
            self.when_closed()

    def needed(self) -> None:
        """End the first turn."""
        if self._first_turn is not None:
            self._first_turn.set_result(None)
            self._first_turn = None
