"""Call the server's `send` for one stream: one message at a time, each to its end, within its time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from time import perf_counter
from types import coroutine as awaitable
from typing import Any, NoReturn, TypeVar, cast

from streamkit._engine.clock import Timer
from streamkit._engine.delivery import ClientLeft, DeliveryFailed, until_done
from streamkit._engine.keepalive import Keepalive
from streamkit._engine.message import Send, body_of
from streamkit._engine.stream import Stream

T = TypeVar("T")


class Sender(Keepalive):
    """Delivers the messages of one stream, on its event loop; nothing before `open`.

    What delivers is run by `whole`. It takes `ready`, sets `sending`, and calls `sent` afterwards or `failed`.

    Attributes:
        ready: Where messages go now; None before `open`, while a delivery waits, and after `give_up`.
        sender: The task in which a delivery waits.
        sending: Whether the code that runs now is inside a delivery.
        waited: Set whenever what is run by `whole` gives the loop a turn.
        given_up: Nothing is delivered any more.
        stalled: A delivery was waiting then, which the client did not take.
    """

    __slots__ = (
        "_cancelled_before", "_counts", "_free", "_in_servers_task", "_kept", "_life", "_limit", "_loop", "_measures",
        "_send", "_to_server", "given_up", "ready", "sender", "sending", "stalled", "stream", "waited",
    )  # fmt: skip

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream.interval, stream.clock, stream.context)
        self.stream, self._loop, self._life = stream, asyncio.get_running_loop(), stream.life
        self.ready: Send | None = None
        self._send: Send | None = None
        self._free: asyncio.Future[None] | None = None
        self.sender: asyncio.Task[Any] | None = None
        self._kept: asyncio.CancelledError | None = None
        self._limit: Timer | None = None
        self.sending = self.waited = self.given_up = self.stalled = False
        self._counts, self._in_servers_task, self._to_server, self._measures = stream.counts, False, False, False
        self._cancelled_before = 0

    def open(self, send: Send, *, to_server: bool) -> None:
        """Let messages go to `send` from now on: the server's own, or what takes them elsewhere.

        The server's is called with a filler when the stream was silent for long, a client that is slow for long ends
        the stream, and what it takes is counted.
        """
        self._send = send
        self._set_ready()
        if to_server:
            self._to_server, self._measures = True, self.stream.measures
            self.start_fillers()

    def _set_ready(self) -> None:
        self.ready = None if self.given_up else self._send
        if self._free is not None:
            self._free.set_result(None)
            self._free = None

    def give_up(self, *, besides: asyncio.Task[None] | None) -> None:
        """Cancel the delivery under way, unless it is in the task `besides`; from now on any can be cancelled."""
        if not self.given_up:
            self.given_up, self.ready = True, None
            self.stalled = self.sender is not None
            if self.sender is not None and self.sender is not besides:
                self.sender.cancel()

    def needed(self) -> None:
        """Be told that something is to be delivered, and there is nowhere yet."""

    async def until_ready(self) -> Send:
        """Wait until something can be delivered, there is where to and nothing is under way; return where to."""
        if self._send is None:
            self.needed()
        while (send := self.ready) is None:
            if self.given_up and self.sender is None:
                raise asyncio.CancelledError  # what was under way did not leave, nor will this
            self._free = self._free or self._loop.create_future()
            await asyncio.shield(self._free)
        return send

    async def finish(self) -> None:
        """End the body, under the limits of any delivery; from the server's own task."""
        self._in_servers_task = True
        await self.whole(self.send_alone(b"", more=False))

    async def send_alone(self, chunk: bytes, *, more: bool = True) -> None:
        """Deliver what is not any item's, when nothing else is to leave; not `more` ends the body."""
        send = self.ready or await self.until_ready()
        begun = perf_counter()
        self.sending = True
        try:
            await send(body_of(chunk, more=more))
        except BaseException as exc:
            self.failed(exc)
        self.sent(chunk, 0, begun)

    def sent(self, chunk: bytes, count: int, begun: float) -> float:
        """Take note that `chunk`, of so many items, was delivered; return what `perf_counter` says.

        Raises:
            CancelledError: The task was cancelled meanwhile.
        """
        self.sending, now, life = False, perf_counter(), self._life
        if self._counts:
            life.frames += count
        if chunk:
            self.last_sent = self.clock.now()
        if self._measures:
            if now - begun > life.slowest_flush or life.lacks_id:
                life.flushed(chunk, now - begun)
            else:  # what is left of `flushed` then, without a call for each token
                life.bytes += len(chunk)
        if self.sender is not None and (cancelled := self._end_wait()) is not None:
            raise cancelled
        return now

    def failed(self, error: BaseException) -> NoReturn:
        """Raise what a delivery has failed with, as the error that it is.

        Raises:
            DeliveryFailed: The server's `send` raised `error`.
            BaseException: `error` itself, where it is that already, or is not the send's.
        """
        self.end_delivery()
        if isinstance(error, DeliveryFailed) or not isinstance(error, Exception):
            raise error
        raise (ClientLeft if isinstance(error, OSError) else DeliveryFailed) from error

    def end_delivery(self) -> bool:
        """Let the next one begin; tell whether there was one, which has not returned."""
        sending, self.sending = self.sending, False
        if sending and self.sender is not None:
            self._end_wait()
        return sending

    # -- a delivery that waits -----------------------------------------------------------------------------------

    @awaitable
    def whole(
        self, running: Coroutine[Any, Any, T] | Generator[Any, Any, T], stepped: tuple[Any] | None = None
    ) -> Generator[Any, Any, T]:
        """Run what delivers inside the present task, and let each delivery wait to its end.

        A task that is cancelled in the middle of `await send(…)` cannot know whether the bytes left. So a send that
        suspends is waited for through a future of our own, and a cancellation reaches us and not the send. One that
        returns at once, as most do, is a plain `await` and costs nothing extra.

        Args:
            running: The coroutine.
            stepped: What it awaits, where it was stepped already.

        Returns:
            What the coroutine does.
        """
        try:
            awaited = running.send(None) if stepped is None else stepped[0]
            while True:
                thrown: BaseException | None = None
                self.waited = True
                try:
                    if self.sending:
                        yield from self._wait(awaited)
                    else:
                        yield awaited
                except BaseException as exc:
                    thrown = exc
                awaited = running.send(None) if thrown is None else running.throw(thrown)
        except StopIteration as done:
            return cast("T", done.value)

    def _wait(self, awaited: Any) -> Generator[Any, None, None]:
        """Wait for what the delivery waits for; keep a cancellation that is not meant for it until it has returned."""
        self.sending, self.ready = False, None
        if self.sender is None:
            self.sender = task = cast("asyncio.Task[Any]", asyncio.current_task())
            self._cancelled_before = task.cancelling()
        if self._to_server:
            self._limit_delivery()
        try:
            while True:
                try:
                    yield from until_done(awaited)
                except asyncio.CancelledError as exc:
                    if self.given_up or self._in_servers_task:
                        raise
                    self._kept = exc
                else:
                    return
        finally:
            self.sending = True

    def _end_wait(self) -> asyncio.CancelledError | None:
        """Let the next delivery begin; return what is to be raised now, if anything is.

        A cancellation that the send's own timeout had asked for is not; one that the send has swallowed is.
        """
        task, kept, self.sender, self._kept = self.sender, self._kept, None, None
        self._set_ready()
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
        if self.given_up and not self._in_servers_task:
            return kept or asyncio.CancelledError()
        return kept if task is not None and task.cancelling() > self._cancelled_before else None

    def _limit_delivery(self) -> None:
        """End the stream when the delivery, which waits for the client now, waits too long."""
        timeout, life = self.stream.policy.send_timeout, self.stream.life
        if timeout is not None and self._limit is None:
            self._limit = self.stream.clock.call_later(self._loop, timeout, lambda: life.end("slow_client"))
