"""Streams that outlive their readers: the answer goes on being written while the phone changes networks.

A producer writes to a channel of its own, of which every response is only a reader, in any process that shares the log.
How it ended is the last entry of that channel, which seals it.
"""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any, Literal
from uuid import uuid4

from streamkit._engine.background import background_loop
from streamkit._engine.bodies import discard
from streamkit._engine.clock import SYSTEM, Clock
from streamkit._engine.handoff import wait_in_loop, wait_in_thread
from streamkit._engine.policy import check_seconds
from streamkit._engine.signals import drain_on_signals
from streamkit._engine.stream import Stream
from streamkit._engine.threads import PerProcess
from streamkit._json import Dumps
from streamkit.channels._around import lasting_loop, surroundings
from streamkit.channels._channels import Channels, refuse_loop
from streamkit.channels._ends import Status, channel_of, end_payload
from streamkit.channels._entry import write_payload
from streamkit.channels._lease import Setting
from streamkit.channels._log import Log, check_log
from streamkit.channels._producer import SLACK, Producer
from streamkit.channels._readers import Readers
from streamkit.channels._records import Records
from streamkit.channels._threaded import async_source
from streamkit.channels._workers import Calls
from streamkit.errors import LogUnavailableError
from streamkit.sse import Event


class Detached:
    """Start streams that go on without a reader, and attach readers to them from any process that shares the log.

        detached = Detached(SQLiteLog("answers.db"))

        await detached.start(key, tokens(prompt))

        after = last_event_id(request)
        status = await detached.status(key, after)
        if status.code != 200:  # 404: there is no such stream; 204: this client has seen its end
            return Response(status_code=status.code)
        return EventStreamResponse(detached.attach(key, after))

    A reader gets the source's items as Events with ids, from the first on or after its id, and last how it ended: an
    event of the type `done`, `cancelled`, `failed` or `lost`; the latter two with the data `{"error": text}`. Where
    items are no longer in the log, or the log was lost in between, it gets an event `gap` first, as from
    `Channels.subscribe`.

    Args:
        log: Where the streams are kept; readers in other processes need one that they share.
        lease: Seconds after which a producer that was not heard of is taken for lost. It renews its lease three times
            as often, also while its source is silent; readers are told within a third of it more.
        grace: Seconds that a producer has to finish when its process is told to leave; then it is recorded as lost.
        at_limit: What happens to a stream that is longer than its log keeps. `"fail"`: it ends as failed, and says why.
            `"wait"`: the source waits until the oldest entries are older than the log's `max_age`.
        error_text: Given the exception of a source that failed, returns what its readers are told; without it they get
            a general sentence. The exception is logged.
        dumps: Your own JSON encoder for the items.
        clock: What waits go by; for tests.

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
        check_log("Detached", log)
        _check_options(log, lease, grace, at_limit, error_text)
        self.log = log
        self._channels = channels = Channels(log, clock=clock)
        self._calls = calls = Calls(log)
        self._clock = clock
        self._grace = grace
        self._records = records = Records(log, lease)
        self._readers = Readers(channels, calls, records, lease, clock)

        def encode(item: object) -> bytes:
            return write_payload(item, dumps)

        self._setting = Setting(log, records, calls, clock, lease, grace, at_limit == "wait", encode, error_text)
        self._running: PerProcess[dict[str, Producer]] = PerProcess(dict)
        self._is_registered = False

    # -- the producer's side -------------------------------------------------------------------------------------

    async def start(self, key: str, source: Any) -> bool:
        """Run a source under a key, unless there is a stream of this key already; its readers attach to it.

        Once begun it is started also where the caller is cancelled, as by a client that leaves.

        Args:
            key: Any text of 1 to 246 bytes in UTF-8: the id of a message, say. It is no secret and grants no access.
            source: As for a response: an iterable or async iterable of items, which have no id of their own. An async
                one runs on this event loop, or, where that ends with the view as in an async view under WSGI, on the
                one that streamkit keeps; a sync one in a thread. It sees the ContextVars of the caller; in Flask it has
                contexts of its own as a response has, in Django database connections of its own. It is closed where it
                is not started.

        Returns:
            Whether it was started here.

        Raises:
            TypeError: The source cannot be streamed, or the key is no text.
            ValueError: The key cannot be used.
            TooManyStreamsError: A sync source would need one thread more than `set_max_threads` allows.
            LogUnavailableError: The log did not answer within its timeout. The key may be taken all the same, by a
                stream that is recorded as lost.
        """
        producer = self._producer(key, source, lasting_loop(), prefer_async=True)
        return await asyncio.shield(asyncio.get_running_loop().create_task(self._start(producer)))

    async def _start(self, producer: Producer) -> bool:
        try:
            claimed = await self._calls.run(lambda: self._records.claim(producer.channel, producer.owner))
        except BaseException:
            producer.discard()
            raise
        self._settle(producer, claimed)
        return bool(claimed)

    def start_sync(self, key: str, source: Any) -> bool:
        """Do what `start` does, from sync code; an async source runs on the loop that streamkit keeps.

        Raises:
            RuntimeError: This thread runs an event loop, which must not wait: await `start` there.
        """
        refuse_loop("start_sync", "start(…)")
        producer = self._producer(key, source, background_loop(), prefer_async=False)
        try:
            claimed = self._records.claim(producer.channel, producer.owner)
        except BaseException:
            producer.discard()
            raise
        self._settle(producer, claimed)
        return claimed

    def _producer(self, key: str, content: Any, loop: asyncio.AbstractEventLoop, *, prefer_async: bool) -> Producer:
        """Return what is to run a source; everything that can be refused is refused here."""
        stream = Stream(content)
        try:
            channel = channel_of(key)
            stream.around = surroundings()
            source = async_source(stream, prefer_async=prefer_async)
        except BaseException:
            discard(stream)
            raise
        owner, running = uuid4().hex, self._running.here()

        def gone() -> None:
            running.pop(owner, None)

        return Producer(self._setting, channel, owner, stream, source=source, loop=loop, gone=gone)

    def _settle(self, producer: Producer, claimed: bool) -> None:
        """Begin, or let go of the source."""
        if not claimed:
            producer.discard()
            return
        drain_on_signals()
        if not self._is_registered:
            self._is_registered = True
            atexit.register(self._at_exit)
        self._running.here()[producer.owner] = producer
        producer.start()

    async def cancel(self, key: str) -> bool:
        """End a stream, in whichever process it runs; its source is closed as when a client leaves.

        An async source gets CancelledError where it waits, a sync one GeneratorExit when it gives its next item.

        Returns:
            Whether it was running.

        Raises:
            LogUnavailableError: The log did not answer within its timeout.
        """
        channel = channel_of(key)
        return await self._calls.run(lambda: self._records.seal(channel, end_payload("cancelled")))

    def cancel_sync(self, key: str) -> bool:
        """Do what `cancel` does, from sync code; RuntimeError on a running event loop."""
        refuse_loop("cancel_sync", "cancel(…)")
        return self._records.seal(channel_of(key), end_payload("cancelled"))

    # -- the readers' side ---------------------------------------------------------------------------------------

    def attach(self, key: str, after: str | None = None) -> AsyncGenerator[Event, None]:
        """Return an async iterator of what a stream has given and will give, up to its end, for a response.

        It is read in sync views, too. A reader that leaves changes nothing for the stream.

        Args:
            key: Of the stream.
            after: The id that the client gave, `last_event_id(request)`; None for all of it.

        Raises:
            TypeError: The key or the id is no text.
            ValueError: The key cannot be used.
            UnknownStreamError: When it is iterated: there is no such stream. Look at its `status` first.
        """
        if after is not None and not isinstance(after, str):
            raise TypeError(f"after must be the id that a client gave, a str, or None; not {after!r:.200}")
        return self._readers.read(key, channel_of(key), after)

    async def status(self, key: str, after: str | None = None) -> Status:
        """Return how a stream stands, and whether the client with the id `after` has seen its end.

        A stream whose producer is lost is recorded as lost by whoever asks first.

        Raises:
            ValueError: The key cannot be used.
            LogUnavailableError: The log did not answer within its timeout.
        """
        channel = channel_of(key)
        return await self._calls.run(lambda: self._records.status(channel, after))

    def status_sync(self, key: str, after: str | None = None) -> Status:
        """Do what `status` does, from sync code; RuntimeError on a running event loop."""
        refuse_loop("status_sync", "status(…)")
        return self._records.status(channel_of(key), after)

    # -- the end of the process ----------------------------------------------------------------------------------

    async def close(self) -> None:
        """Let the producers of this process finish within the grace, as at a shutdown, and let go of the log.

        For the end of an ASGI lifespan, which a server waits for, while it waits for no task. Elsewhere the same is
        done when the interpreter exits. A server that is told by a signal to stop, and ends by neither, as uvicorn
        without that lifespan, leaves streams that are found to be lost when the grace is over; or when the lease is,
        if it was gone before the log could be told, as granian may be.
        """
        running = list(self._running.here().values())
        for producer in running:
            producer.drain()
        waits = [wait_in_loop(one.over.when_readable, self._grace + SLACK, self._clock) for one in running if one.runs]
        await asyncio.gather(*waits)
        await self._calls.run(lambda: self._give_up(running))
        self._channels.close()

    def _at_exit(self) -> None:
        running = list(self._running.here().values())
        for producer in running:
            producer.drain()
        until = self._clock.now() + self._grace + SLACK
        for producer in running:
            if producer.runs:
                wait_in_thread(producer.over.when_readable, max(until - self._clock.now(), 0.0), self._clock)
        self._give_up(running)

    def _give_up(self, producers: list[Producer]) -> None:
        """Record as lost what has not ended, and would otherwise be found by its lease."""
        with suppress(LogUnavailableError):
            for producer in producers:
                if not producer.over.ended:
                    self._records.end(producer.channel, producer.owner, end_payload("lost"))


def _check_options(log: Log, lease: object, grace: object, at_limit: object, error_text: object) -> None:
    check_seconds("Detached.lease", lease)
    check_seconds("Detached.grace", grace)
    if at_limit not in ("fail", "wait"):
        raise ValueError(f"Detached.at_limit must be 'fail' or 'wait', not {at_limit!r:.200}")
    if at_limit == "wait" and log.max_age is None:
        raise ValueError("Detached.at_limit='wait' would wait for ever: its log has max_age=None")
    if error_text is not None and not callable(error_text):
        raise TypeError(f"Detached.error_text must be a function of an exception, not {error_text!r:.200}")
