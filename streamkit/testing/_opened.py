"""A stream that a test has opened: what it asks of it, in sync and in async tests.

The two classes differ in how they wait and in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from streamkit._engine.handoff import take_in_loop, take_in_thread, wait_in_loop, wait_in_thread
from streamkit.testing._errors import StreamTestError
from streamkit.testing._known import Opened, match


class OpenStream(Opened):
    """An open stream in a sync test. Every wait ends after `timeout` seconds with a StreamTimeoutError.

    Iterate it to read all items: an iteration that comes to the end of a stream which was cut off raises a
    StreamEndedError, as its client must not take half an answer for the whole.
    """

    def take(self, count: int = 1) -> list[Any]:
        """Return the next `count` items.

        Args:
            count: From 0.

        Raises:
            ValueError: `count` is below 0.
            StreamTimeoutError: They did not come in time; as for all methods.
            StreamEndedError: The stream ended before.
            NotAStreamError: The response is an error or a page.
        """
        self._wait(self._items(count), f"take({count})")
        return self._taken(count)

    def until(self, item: Any = None, /, **fields: Any) -> list[Any]:
        """Return the items up to one that is looked for, and that one as the last.

        Args:
            item: An item that it equals, or a function that tells.
            fields: What an event has: `event`, `data`, `id`.

        Raises:
            TypeError: Nothing is looked for, or a field that no event has.
        """
        matches, wanted = match(item, fields)
        found: list[Any] = []
        while not (found and matches(found[-1])):
            self._wait(self._items(1), wanted)
            found += self._taken(1)
        return found

    def keepalive(self) -> bytes:
        """Wait for bytes that are no item, such as a keepalive or another comment; return them."""
        self._wait(lambda: self._reading.fillers, "a keepalive")
        return self._reading.fillers.popleft()

    def read(self) -> bytes:
        """Read to the end, whatever the response is; return the whole body."""
        self._wait(lambda: self._done, "the end of the body")
        return self.raw

    def wait_closed(self) -> str:
        """Read until the stream has ended by itself; return the reason. Items stay to be taken."""
        self._wait(lambda: self._done, "the end of the stream")
        return self.closed_reason or "disconnected"

    def disconnect(self) -> None:
        """Leave, as a client does that closes its connection; returns when the app is done.

        An ASGI app gets `http.disconnect`, what a WSGI app returned is closed. So the `finally` of the source has run,
        except that of a sync one whose thread is inside it: that runs when its `next` returns.
        """
        self._leave()
        if not wait_in_thread(self._drive.over.when_readable, self._timeout):
            raise self._stuck()

    def _wait(self, ready: Callable[[], object], wanted: str) -> None:
        left = self._limit(wanted)
        while not self._has(ready, wanted):
            self._absorb(take_in_thread(self._drive.arrivals, timeout=left()))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        self._wait(lambda: self._reading.unread or self._done, "the next item")
        if not self._reading.unread:
            if self._is_failed():
                self._has(lambda: False, "the end")
            raise StopIteration
        return self._reading.unread.popleft()

    def __enter__(self) -> Self:  # sends the request and waits for the head; at once, where that has been done
        self._drive.start()
        try:
            self._wait(lambda: self.status_code or self._done, "the head of the response")
            self._check_head()
        except BaseException:
            with suppress(StreamTestError):
                self.disconnect()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(*() if error is None else (StreamTestError,)):
            self.disconnect()


class AsyncOpenStream(Opened):
    """An open stream in an async test: the methods of `OpenStream`, awaited."""

    async def take(self, count: int = 1) -> list[Any]:
        """See `OpenStream`."""
        await self._wait(self._items(count), f"take({count})")
        return self._taken(count)

    async def until(self, item: Any = None, /, **fields: Any) -> list[Any]:
        """See `OpenStream`."""
        matches, wanted = match(item, fields)
        found: list[Any] = []
        while not (found and matches(found[-1])):
            await self._wait(self._items(1), wanted)
            found += self._taken(1)
        return found

    async def keepalive(self) -> bytes:
        """See `OpenStream`."""
        await self._wait(lambda: self._reading.fillers, "a keepalive")
        return self._reading.fillers.popleft()

    async def read(self) -> bytes:
        """See `OpenStream`."""
        await self._wait(lambda: self._done, "the end of the body")
        return self.raw

    async def wait_closed(self) -> str:
        """See `OpenStream`."""
        await self._wait(lambda: self._done, "the end of the stream")
        return self.closed_reason or "disconnected"

    async def disconnect(self) -> None:
        """See `OpenStream`."""
        self._leave()
        if not await wait_in_loop(self._drive.over.when_readable, self._timeout):
            raise self._stuck()

    async def _wait(self, ready: Callable[[], object], wanted: str) -> None:
        left = self._limit(wanted)
        while not self._has(ready, wanted):
            self._absorb(await take_in_loop(self._drive.arrivals, timeout=left()))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        await self._wait(lambda: self._reading.unread or self._done, "the next item")
        if not self._reading.unread:
            if self._is_failed():
                self._has(lambda: False, "the end")
            raise StopAsyncIteration
        return self._reading.unread.popleft()

    async def __aenter__(self) -> Self:
        self._drive.start()
        try:
            await self._wait(lambda: self.status_code or self._done, "the head of the response")
            self._check_head()
        except BaseException:
            with suppress(StreamTestError):
                await self.disconnect()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(*() if error is None else (StreamTestError,)):
            await self.disconnect()
