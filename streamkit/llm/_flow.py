"""Drive a wire protocol over a source: the source's parts in, events out.

- A `Protocol` is a machine of values: it has no source, thread, loop or logger. What it gives is encoded here.
- Nothing is sent before the source has given its first part, has ended or has failed: what fails before is raised by
  `primed` in the view, as it was.
- What fails later, the source or the protocol on a part of it, becomes what the protocol tells its client. An
  `InBandError` carries it; the engine makes of it the last events of a stream that has failed.
- The source is closed once, by whoever closes the flow, in that thread or task; also where it was never begun, since an
  SDK's stream is open before anybody iterates it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Self

from streamkit._engine.register import logger
from streamkit._engine.source import Source, check_source, close_async, close_sync, is_async, is_sync, throw_async
from streamkit._json import dumps, text_bytes
from streamkit.errors import EncodeError, InBandError, StreamCutError
from streamkit.sse import EncodedEvent, Event


class Protocol(ABC):
    """What stands on the wire for the parts of one source, in order.

    Every method gives any number of values: an `Event` is sent as it is, everything else as one line of JSON. Where one
    raises, the values that it gave before are sent, and the stream fails.

    Attributes:
        over: Whether the answer is complete: nothing more of the source is wanted, and `end` is called.
    """

    over = False

    def begin(self) -> Iterable[object]:
        """Give what comes before the first part."""
        return ()

    @abstractmethod
    def feed(self, part: object, index: int) -> Iterable[object]:
        """Give what stands for one part, number `index` from 0.

        Raises:
            EncodeError: The part cannot be sent, or not here; the flow fills in its index.
        """

    @abstractmethod
    def end(self) -> Iterable[object]:
        """Give what comes after the last part; raise where the source must not end here."""

    @abstractmethod
    def failed(self, error: Exception) -> Iterable[object]:
        """Give what tells the client of an error; nothing where the protocol has no word for it.

        Then the connection is cut, so that the client does not take what it has for the whole.
        """


def run(protocol: Protocol, source: object) -> Source:
    """Return the events of a protocol over a source, to be iterated as the source can be: sync, async or both ways.

    An object and not a generator: a generator that was never begun could not close the source, and one that can be
    iterated both ways does not exist.

    Raises:
        TypeError: `source` cannot be streamed.
    """
    checked = check_source(source)
    if not is_async(checked):
        return _SyncFlow(protocol, checked)
    return _BothWays(protocol, checked) if is_sync(checked) else _AsyncFlow(protocol, checked)


def raw(data: str, *, event: str | None = None, id: str | None = None, retry: int | None = None) -> EncodedEvent:
    """Return an event whose data is sent as it stands, also by a format that writes text as JSON."""
    made = EncodedEvent(text_bytes(data), is_json=True, event=event, id=id)
    made._value = data  # it need not be JSON
    made._retry = retry
    return made


DONE = raw("[DONE]")
"""What ends an answer in more than one protocol; clients compare it as it stands."""


def general(error: Exception) -> str:
    """Return what a client may know of any error: nothing that it says itself, but which part could not be sent."""
    if isinstance(error, EncodeError) and error.index is not None:
        return f"The answer could not be completed: item {error.index} of its source cannot be sent."
    return "The answer could not be completed."


def check_error(choose: object) -> None:
    """Raise TypeError unless an app's `error`, see `told`, can be called."""
    if choose is not None and not callable(choose):
        raise TypeError(f"error must be a function of an exception, not {choose!r:.200}")


def told(error: Exception, choose: Callable[[Exception], Any] | None) -> Any:
    """Return what the app's `choose` has its client told of an error; None for the protocol's general words."""
    if choose is None:
        return None
    try:
        chosen = choose(error)
        if isinstance(chosen, str):
            text_bytes(chosen)  # such as the name of a file may have what UTF-8 has not
        return chosen
    except Exception:
        logger.exception("%r failed on an error; the client gets the general words", choose)
        return None


def _encoded(value: object) -> Event:
    return value if isinstance(value, Event) else EncodedEvent(dumps(value), is_json=True)


END = object()
"""What stands for the next part of a source that has none."""


class _Flow:
    """What is the same for sync and async sources: everything but the waiting."""

    def __init__(self, protocol: Protocol, source: Source) -> None:
        self._protocol = protocol
        self._source = source
        self._items: Any = None  # the source's iterator
        self._count = 0
        self._ready: deque[Event] = deque()
        self._over = False
        self._error: Exception | None = None  # raised when all that is ready was taken
        self._is_closed = False

    def _received(self, part: object) -> None:
        """Take the next part of the source, or its end."""
        protocol, self._over = self._protocol, part is END
        try:
            if self._count == 0:
                self._give(protocol.begin())
            if not self._over:
                self._give(protocol.feed(part, self._count))
                self._over = protocol.over
            self._count += 1
            if self._over:
                self._give(protocol.end())
        except Exception as exc:
            self._failed(exc)

    def _failed(self, error: Exception) -> None:
        self._over = True
        if isinstance(error, InBandError):  # of a protocol that is relayed in another
            error = error.error
        if isinstance(error, EncodeError) and error.index is None:
            error.index = self._count
        # A stream that is cut must not look whole, and whoever cuts it does not ask for more to be sent.
        last = [] if isinstance(error, StreamCutError) else [_encoded(value) for value in self._protocol.failed(error)]
        self._error = InBandError(error, last) if last else error

    def _give(self, values: Iterable[object]) -> None:
        for value in values:
            self._ready.append(_encoded(value))

    def _next(self, at_end: type[Exception]) -> Event:
        if self._ready:
            return self._ready.popleft()
        error, self._error = self._error, None
        if isinstance(error, InBandError):
            raise error from error.error
        raise error or at_end

    def _to_close(self) -> bool:
        """Whether the source is still to be closed; nothing more is given."""
        self._over, self._error = True, None
        self._ready.clear()
        was_closed, self._is_closed = self._is_closed, True
        return not was_closed


class _SyncFlow(_Flow):
    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        while not (self._ready or self._over):
            self._pull()
        return self._next(StopIteration)

    def _pull(self) -> None:
        try:
            if self._items is None:
                self._items = iter(self._source)  # type: ignore[arg-type]
            part = next(self._items, END)
        except Exception as exc:
            self._failed(exc)
        else:
            self._received(part)

    def close(self) -> None:
        """Close the source."""
        if self._to_close():
            close_sync(self._source if self._items is None else self._items, self._source)


class _AsyncFlow(_Flow):
    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not (self._ready or self._over):
            await self._pull_async()
        return self._next(StopAsyncIteration)

    async def athrow(self, error: BaseException) -> Event:
        """Raise `error` where the source waits at its `yield`, as the engine does with what is meant for the source."""
        await self._pull_async(error)
        return await self.__anext__()

    async def _pull_async(self, error: BaseException | None = None) -> None:
        try:
            if self._items is None:
                self._items = aiter(self._source)  # type: ignore[arg-type]
            part = await (anext(self._items, END) if error is None else throw_async(self._items, error))
        except StopAsyncIteration:  # the answer to a throw
            self._received(END)
        except Exception as exc:
            self._failed(exc)
        else:
            self._received(part)

    async def aclose(self) -> None:
        """Close the source."""
        if self._to_close():
            await close_async(self._source if self._items is None else self._items, self._source)


class _BothWays(_SyncFlow, _AsyncFlow):
    """Over a source such as a `Pipe`: which way it is iterated is for the response to decide."""
