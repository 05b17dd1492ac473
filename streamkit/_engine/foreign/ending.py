"""End an app whose stream is over, so that what it awaits in a `finally` is done.

The task that runs the generator is cancelled first and alone, then the one that sends; only when those have ended, or
had their time, is the app told that its client has left, and at the very last the call of the app itself is cancelled.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, NoReturn

from streamkit._engine.clock import Clock
from streamkit._engine.foreign.inbox import Inbox
from streamkit._engine.foreign.tasks import Families, Generator, Task, generators_of, runs_generator
from streamkit._engine.policy import StreamPolicy
from streamkit._engine.register import logger

TURNS = 10
"""Turns of the loop in which what was set off inside an app has come to where it waits."""


class Ending:
    """Ends the app of one request, if it must be ended.

    Attributes:
        over: Done when the app has returned or raised.
        begun: The app is being ended.
    """

    def __init__(self, own: Task, inbox: Inbox, families: Families, policy: StreamPolicy, clock: Clock) -> None:
        self._own = own
        self._cancelling = own.cancelling()
        self._interrupted = 0
        self._inbox = inbox
        self._families = families
        self._timeout = policy.cleanup_timeout
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._senders: list[Task] = []
        self._generators: dict[int, Generator] = {}
        self._task: Task | None = None
        self._struck: asyncio.Future[None] = self._loop.create_future()
        self.over: asyncio.Future[None] = self._loop.create_future()

    @property
    def begun(self) -> bool:
        """Whether the app is being ended."""
        return self._task is not None

    def note_sender(self, task: Task | None = None) -> None:
        """Remember a task that sends; by default the present one."""
        task = task or asyncio.current_task()
        if task is not None and task not in self._senders:
            self._senders.append(task)

    def begin(self, first: Callable[[], Awaitable[object]] | None = None) -> None:
        """Await `first`, then end the app; once."""
        if self._task is None and not self.over.done():
            self._task = self._loop.create_task(self._run(first))

    def note_generators(self) -> None:
        """Remember what the app iterates, to close what it leaves open."""
        self._note_generators(self._tasks())

    def note_generators_soon(self) -> None:
        """Do so when the task that calls waits; anyio is asked for its tasks now, since it tells only a task."""
        self._loop.call_soon(self._note_generators, self._tasks())

    def _tasks(self) -> list[Task]:
        relatives = self._families.relatives(self._sender(), self._own, self._since)
        return [*self._senders, *(task for task, _ in relatives)]

    def _note_generators(self, tasks: list[Task]) -> None:
        present = asyncio.current_task()
        for task in tasks:
            if task is not present and not task.done():
                for generator in generators_of(task):
                    self._generators.setdefault(id(generator), generator)

    async def refuse(self) -> NoReturn:
        """Hold a sender until it is cancelled, and refuse whatever is sent after that.

        Raises:
            OSError: The sender has been cancelled, or the app is over.
        """
        await asyncio.sleep(0)  # who sends on all the same freezes nobody
        await asyncio.shield(self._struck)
        raise ConnectionResetError(errno.ECONNRESET, "the stream is over")

    async def drop(self) -> None:
        """Take no note of what is sent, until the sender is cancelled.

        Raises:
            OSError: It has been.
        """
        await asyncio.sleep(0)
        if self._struck.done():
            raise ConnectionResetError(errno.ECONNRESET, "the stream is over")

    async def wait(self, seconds: float) -> None:
        """Wait for the app to end by itself."""
        await self._ended([], seconds)

    async def finished(self) -> None:
        """Wait until nothing is going on here any more; the app is over."""
        self.over.set_result(None)
        self._strike()
        if self._task is not None:
            await asyncio.wait({self._task})
        if self._generators:
            await self._ended([self._loop.create_task(self._close_generators())], of_app=False)
        self._senders.clear()

    def was_ours(self, error: BaseException | None) -> bool:
        """Take back our cancellations of the server's task; tell whether `error` is one of them and no one else's."""
        cancelled, left = self._interrupted > 0, self._own.cancelling()
        while self._interrupted:
            self._interrupted -= 1
            left = self._own.uncancel()
        return cancelled and isinstance(error, asyncio.CancelledError) and left <= self._cancelling

    async def _run(self, first: Callable[[], Awaitable[object]] | None) -> None:
        try:
            if first is not None:
                await first()
            await self._turns()
            if not self.over.done():
                self.note_generators()
                await self._cancel_generators()
            if not self.over.done():
                sender = self._sender()
                self._loop.call_soon(self._strike)
                await self._cancel([sender])
            if not self._inbox.tell() or not await self._ended([]):
                await self._cancel([self._own])
        except Exception:
            logger.exception("A stream could not be ended")

    def _strike(self) -> None:
        if not self._struck.done():
            self._struck.set_result(None)

    async def _cancel_generators(self) -> None:
        tasks = []
        for task, host in self._families.relatives(self._sender(), self._own, self._since):
            if task not in self._senders and runs_generator(task):
                tasks.append(task)
                task.add_done_callback(partial(self._cancel_host, host))
        await self._cancel(tasks)

    def _cancel_host(self, host: Task | None, _: Task) -> None:
        """Let no group stop at itself the cancellation of one of its tasks: FastAPI would take that for a fault."""
        if host is not None and not host.done() and not self.over.done():
            self._interrupted += host is self._own
            host.cancel()

    def _sender(self) -> Task:
        alive = [task for task in self._senders if not task.done()]
        inside = [task for task in alive if runs_generator(task)]
        others = [task for task in alive if task is not self._own]
        return next(iter(inside or others), self._own)  # the first has sent the head; a later one, say, pings

    async def _cancel(self, tasks: Iterable[Task]) -> None:
        """Cancel tasks and wait for what they have to clean up."""
        waiting = []
        for task in tasks:
            if task.done() or self.over.done():
                continue
            self._interrupted += task is self._own
            task.cancel()
            waiting.append(task)
        if waiting and not await self._ended(waiting):
            logger.warning("The cleanup of a stream did not end within %g s", self._timeout)
        await self._turns()

    async def _close_generators(self) -> None:
        """Close what the app has left open."""
        for generator in self._generators.values():
            if generator.ag_frame is not None and not generator.ag_running:
                try:
                    await generator.aclose()
                except Exception:
                    logger.exception("Closing %r failed", generator)
        self._generators.clear()

    async def _ended(self, tasks: Iterable[Task], seconds: float | None = None, *, of_app: bool = True) -> bool:
        """Wait until all of `tasks` have ended; False when that takes longer than `seconds`, or `cleanup_timeout`.

        Where they are `of_app`, until the app has ended at the latest.
        """
        late: asyncio.Future[None] = self._loop.create_future()
        timer = self._clock.call_later(self._loop, seconds or self._timeout, lambda: late.set_result(None))
        waiting: list[asyncio.Future[Any]] = [task for task in tasks if task is not self._own]
        waiting = waiting or [self.over]
        try:
            while waiting and not late.done() and not (of_app and self.over.done()):
                await asyncio.wait([late, *waiting, *[self.over] * of_app], return_when=asyncio.FIRST_COMPLETED)
                waiting = [one for one in waiting if not one.done()]
        finally:
            timer.cancel()
        return not late.done()

    async def _turns(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)
