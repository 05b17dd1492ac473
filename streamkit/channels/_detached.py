"""Streams that outlive their readers: the answer goes on being written while the phone changes networks.

A producer writes to a channel of its own, of which every response is only a reader, in any process that shares the log.
How it ended is the last entry of that channel, which seals it.
"""

from __future__ import annotations

import asyncio
import atexit
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Literal
from uuid import uuid4

from streamkit._engine.background import background_loop
from streamkit._engine.bodies import discard
from streamkit._engine.clock import SYSTEM, Clock
from streamkit._engine.handoff import call_threadsafe, wait_in_loop
from streamkit._engine.signals import drain_on_signals
from streamkit._engine.stream import Stream
from streamkit._engine.threads import PerProcess, new_parker
from streamkit._json import Dumps
from streamkit.channels._channels import Channels, refuse_loop
from streamkit.channels._ends import STARTED, End, State, Status, channel_of, end_payload, state_of
from streamkit.channels._entry import write_payload
from streamkit.channels._log import Log
from streamkit.channels._position import Position, checksum, read_positions
from streamkit.channels._producer import Producer, Setting
from streamkit.errors import LogUnavailableError, SealedError, UnknownStreamError
from streamkit.sse import Event


class Detached:
    """Start streams that go on without a reader, and attach readers to them from any process that shares the log.

        detached = Detached(SQLiteLog("answers.db"))

        await detached.start(key, tokens(prompt))
        return EventStreamResponse(detached.attach(key, after=last_event_id(request)))

    A reader gets the source's items as Events with ids, from the first on or after its id, and last how it ended: an
    event of the type `done`, `cancelled`, `failed` or `lost`; the latter two with the data `{"error": text}`.

    Args:
        log: Where the streams are kept; readers in other processes need one that they share.
        lease: Seconds after which a producer that was not heard of is taken for lost. It renews its lease three times
            as often, also while its source is silent.
        grace: Seconds that a producer has to finish when its process is told to leave; then it is recorded as lost.
        at_limit: What happens to a stream that is longer than its log keeps. `"fail"`: it ends as failed, and says why.
            `"wait"`: the source waits until the oldest entries are older than the log's `max_age`.
        error_text: Given the exception of a source that failed, returns what its readers are told; without it they get
            a general sentence. The exception is logged.
        dumps: Your own JSON encoder for the items.

    Raises:
        TypeError: `log` is no log.
        ValueError: An option has a value that it cannot have.
    """

    def __init__(
        self,
        log: Log,
        *,
        lease: float = 15.0,
        grace: float = 5.0,
        at_limit: Literal["fail", "wait"] = "fail",
        error_text: Callable[[Exception], str] | None = None,
        dumps: Dumps | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        for name, value in (("lease", lease), ("grace", grace)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"Detached.{name} must be seconds above zero, not {value!r}")
        if at_limit not in ("fail", "wait"):
            raise ValueError(f"Detached.at_limit must be 'fail' or 'wait', not {at_limit!r}")
        self.log = log
        self._channels = Channels(log, clock=clock)
        self._clock = clock
        self._lease = lease
        self._setting = Setting(
            log,
            clock,
            lease,
            grace,
            at_limit == "wait",
            lambda item: write_payload(item, dumps),
            lambda end, error: end_payload(end, error, error_text),
            self._channels.call,
        )
        self._running: PerProcess[dict[str, Producer]] = PerProcess(dict)
        self._is_registered = False

    # -- the producer's side -------------------------------------------------------------------------------------

    async def start(self, key: str, source: Any) -> bool:
        """Run a source under a key, unless there is a stream of this key already; its readers attach to it.

        Args:
            key: Any text of 1 to 246 bytes in UTF-8: the id of a message, say. It is no secret and grants no access.
            source: As for a response: an iterable or async iterable of items. It runs on this event loop, a sync one in
                a thread; it is closed where it is not started.

        Returns:
            Whether it was started here.

        Raises:
            TypeError: The source cannot be streamed.
            ValueError: The key cannot be used.
            LogUnavailableError: The log did not answer within its timeout.
        """
        stream, channel, owner = Stream(source), channel_of(key), uuid4().hex
        try:
            begun = await self._channels.call(lambda: self._claim(channel, owner))
        except BaseException:
            discard(stream)
            raise
        return self._begin(stream, channel, owner, begun, asyncio.get_running_loop())

    def start_sync(self, key: str, source: Any) -> bool:
        """Do what `start` does, from sync code; an async source runs on the loop that streamkit keeps.

        Raises:
            RuntimeError: This thread runs an event loop, which must not wait: await `start` there.
        """
        refuse_loop("start_sync", "start(…)")
        stream, channel, owner = Stream(source), channel_of(key), uuid4().hex
        try:
            begun = self._claim(channel, owner)
        except BaseException:
            discard(stream)
            raise
        return self._begin(stream, channel, owner, begun, background_loop())

    def _claim(self, channel: str, owner: str) -> Position | None:
        """Take the lease and write the first entry; None where somebody has."""
        if not self.log.hold(channel, owner, self._lease):
            return None
        appended = self.log.append(channel, STARTED, first=True)
        if not appended.stored:
            self.log.release(channel, owner)
            return None
        return appended.position

    def _begin(
        self, stream: Stream, channel: str, owner: str, begun: Position | None, loop: asyncio.AbstractEventLoop
    ) -> bool:
        if begun is None:
            discard(stream)
            return False
        drain_on_signals()
        if not self._is_registered:
            self._is_registered = True
            atexit.register(self._at_exit)
        producer = Producer(self._setting, channel, owner, begun, stream.source)
        running, context = self._running.here(), copy_context()
        running[owner] = producer
        call_threadsafe(loop, lambda: producer.begin(context, lambda: running.pop(owner, None)))
        return True

    async def cancel(self, key: str) -> bool:
        """End a stream, in whichever process it runs; its source is closed as when a client leaves.

        Returns:
            Whether it was running.

        Raises:
            LogUnavailableError: The log did not answer within its timeout.
        """
        channel = channel_of(key)
        return await self._channels.call(lambda: self._seal(channel, "cancelled"))

    def cancel_sync(self, key: str) -> bool:
        """Do what `cancel` does, from sync code; RuntimeError on a running event loop."""
        refuse_loop("cancel_sync", "cancel(…)")
        return self._seal(channel_of(key), "cancelled")

    # -- the readers' side ---------------------------------------------------------------------------------------

    def attach(self, key: str, after: str | None = None) -> AsyncGenerator[Event, None]:
        """Return an async iterator of what a stream has given and will give, up to its end, for a response.

        Args:
            key: Of the stream.
            after: The id that the client gave, `last_event_id(request)`; None for all of it.

        Raises:
            ValueError: The key cannot be used.
            UnknownStreamError: When it is iterated: there is no such stream. Look at its `status` first.
        """
        channel = channel_of(key)
        subscription = self._channels.subscribe(
            channel, after=after, start="oldest", visible=lambda event: event.event != "started"
        )
        return self._read(key, channel, subscription)

    async def _read(self, key: str, channel: str, subscription: Any) -> AsyncGenerator[Event, None]:
        if not await self._channels.call(lambda: self._is_known(channel)):
            raise UnknownStreamError(key)
        watch = asyncio.get_running_loop().create_task(self._watch(channel))
        try:
            async for event in subscription:
                yield event
        finally:
            watch.cancel()
            await subscription.aclose()

    async def _watch(self, channel: str) -> None:
        """Find out, as every reader does, when the producer is lost."""
        while True:
            await wait_in_loop(lambda _: True, self._lease, self._clock)
            with suppress(LogUnavailableError):  # its readers wait for it, too
                await self._channels.call(lambda: self._state(channel))

    async def status(self, key: str, after: str | None = None) -> Status:
        """Return how a stream stands, and whether the client with the id `after` has seen its end.

        Raises:
            ValueError: The key cannot be used.
            LogUnavailableError: The log did not answer within its timeout.
        """
        channel = channel_of(key)
        return await self._channels.call(lambda: self._status(channel, after))

    def status_sync(self, key: str, after: str | None = None) -> Status:
        """Do what `status` does, from sync code; RuntimeError on a running event loop."""
        refuse_loop("status_sync", "status(…)")
        return self._status(channel_of(key), after)

    async def close(self) -> None:
        """Let the producers of this process finish within the grace, as at a shutdown, and let go of the log.

        For the end of an ASGI lifespan, which a server waits for, while it waits for no task.
        """
        running = list(self._running.here().values())
        for producer in running:
            producer.drain()
        await asyncio.gather(*(producer.wait() for producer in running))
        self._channels.close()

    # -- what the log says ---------------------------------------------------------------------------------------

    def _is_known(self, channel: str) -> bool:
        return self.log.exists(channel) or self.log.holder(channel) is not None

    def _status(self, channel: str, after: str | None) -> Status:
        state = self._state(channel)
        if state in ("unknown", "running") or not after:
            return Status(state, False)
        head = self.log.page(channel, None, 0).head
        return Status(state, (read_positions(after, {checksum(channel): channel}) or {}).get(channel) == head)

    def _state(self, channel: str) -> State:
        """Return the state of a stream, and record it as lost where nobody holds its lease."""
        if not self.log.exists(channel):
            return "unknown" if self.log.holder(channel) is None else "running"
        last = self.log.last(channel)
        if last is None or not last.sealed:  # once it is, its end counts, though the lease may not be given back yet
            if self.log.holder(channel) is not None:
                return "running"
            if last is None or last.payload is None:
                return "unknown"
            self._seal(channel, "lost")
            last = self.log.last(channel)
        return state_of(last.payload) if last is not None and last.payload is not None else "unknown"

    def _seal(self, channel: str, end: End) -> bool:
        if not self.log.exists(channel):
            return False
        try:
            self.log.append(channel, self._setting.end(end, None), seal=True)
        except SealedError:
            return False
        return True

    def _at_exit(self) -> None:
        """Record as lost what would otherwise be found by its lease; what runs beside this thread has its grace."""
        running = self._running.here()
        for producer in list(running.values()):
            producer.drain()
        until = self._clock.now() + self._setting.grace
        while any(producer.runs for producer in list(running.values())) and self._clock.now() < until:
            new_parker().park(0.02)  # nothing else is left to wait for
        for producer in list(running.values()):
            with suppress(LogUnavailableError):
                self._seal(producer.channel, "lost")
