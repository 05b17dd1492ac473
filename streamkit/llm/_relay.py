"""Send on the event stream of another server, over httpx or whatever has the shape of its responses.

- Nothing is sent before the answer is known to be an event stream, so that `primed` can raise what it is instead.
- Each event is decoded and written anew: comments are dropped, and what was no event is none here.
- The answer is closed when its end was seen, when it fails, and at once when the client leaves.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from streamkit._engine.source import Source
from streamkit._headers import media_type
from streamkit._json import dumps
from streamkit.decode import MAX_EVENT_SIZE, EventDecoder
from streamkit.errors import EncodeError
from streamkit.llm._flow import Protocol, raw, run
from streamkit.llm._upstream import BODY_SECONDS, MAX_BODY, UpstreamError
from streamkit.sse import MISSING, EncodedEvent, Event

Map = Callable[[Event], Any]

MAX_RETRY = 2**31 - 1
"""The largest reconnection time that an `Event` may have."""


def relay(
    response: object,
    *,
    map: Map | None = None,
    end: str | Callable[[Event], bool] | None = None,
    max_event_size: int | None = MAX_EVENT_SIZE,
) -> Source:
    """Return the events of another server's answer, to be given to an `EventStreamResponse` of any adapter.

        upstream = client.stream("POST", url, json=body)
        return EventStreamResponse(await primed(relay(upstream, end="[DONE]"), timeout=60))

    Where upstream fails before its first event, `primed` raises that in the view; where it fails later, the connection
    is cut, unless the response has `on_error`.

    Args:
        response: A response of httpx that was not read yet, or what `client.stream(...)` returns, which is then opened
            when the stream begins. Sync or async: an async one is closed at once when the client leaves; a sync one
            when upstream sends something, or its time-out for reading is over.
        map: Given each event, returns what is sent for it: an Event, a value that becomes its data (text as it stands,
            all else as JSON), a list of these, or None for nothing. Its `data` is text, its `id` the last event ID.
        end: The data of the event that ends the stream, or a function that tells it; it is sent, and upstream is
            closed. An answer that ends without it was cut. Without `end` every end between two events is one.
        max_event_size: The most bytes that one event may have; None for no limit.

    Raises:
        TypeError: `response` is none, or an option is of the wrong kind.

    What the stream raises: `UpstreamError` where the answer is no event stream (another status than 200, another
    Content-Type) or breaks off; what httpx raises; `EventTooLargeError`.
    """
    if map is not None and not callable(map):
        raise TypeError(f"map must be a function of an Event, not {map!r:.200}")
    if not (end is None or isinstance(end, str) or callable(end)):
        raise TypeError(f"end must be a str or a function of an Event, not {end!r:.200}")
    is_sync, is_async = _ways(response)
    if not (is_sync or is_async):
        sdk = hasattr(response, "__iter__") or hasattr(response, "__aiter__")
        hint = "; the stream of an SDK is a source: chat_completions.stream(…) sends it on" if sdk else ""
        raise TypeError(f"response must be one of httpx, or what client.stream() returns, not {response!r:.200}{hint}")
    return run(Relayed(map, end, max_event_size), _Sync(response) if is_sync else _Async(response))


def _ways(response: Any) -> tuple[bool, bool]:
    """Tell whether a response, or what opens one, is sync and whether it is async."""
    if hasattr(response, "iter_bytes"):  # a response has the methods of both kinds
        return hasattr(response.stream, "__iter__"), hasattr(response.stream, "__aiter__")
    if hasattr(response, "__iter__") or hasattr(response, "__aiter__"):
        return False, False  # the stream of an SDK, which can be entered too
    return hasattr(response, "__enter__"), hasattr(response, "__aenter__")


class _Decoder(EventDecoder):
    @property
    def is_inside(self) -> bool:
        """Whether an event has begun whose end has not come."""
        return bool(self._rest or self._held or self._type)


class Relayed(Protocol):
    """Chunks of bytes in, the events in them out."""

    def __init__(self, map: Map | None, end: str | Callable[[Event], bool] | None, max_event_size: int | None) -> None:
        self._map = map
        self._end = end
        self._decoder = _Decoder(max_event_size=max_event_size)
        self._count = 0
        self._id: str | None = None
        self._retry: int | None = None

    def feed(self, part: object, index: int) -> Iterable[object]:
        """Give the events that one chunk completes."""
        for event in self._decoder.feed(part):  # type: ignore[arg-type]
            yield from self._event(event)
            self._count += 1
            if self._is_end(event):
                self.over = True
                return
        self._decoder.feed(b"")  # raises the fault that may have come behind the events

    def end(self) -> Iterable[object]:
        """Give nothing.

        Raises:
            UpstreamError: The answer broke off.
        """
        if not self.over and self._decoder.is_inside:
            raise UpstreamError(f"closed in the middle of an event, after {self._count} whole ones")
        if not self.over and self._end is not None:
            mark = repr(self._end) if isinstance(self._end, str) else "its end mark"
            raise UpstreamError(f"ended after {self._count} events without {mark}")
        return ()

    def failed(self, error: Exception) -> Iterable[object]:
        """Give nothing: what the events are is not known here."""
        if not isinstance(error, UpstreamError):
            error.add_note(f"in a relay, after {self._count} events from upstream")
        return ()

    def _is_end(self, event: Event) -> bool:
        return self._end(event) if callable(self._end) else event.data == self._end

    def _event(self, event: Event) -> Iterable[object]:
        mapped = event if self._map is None else self._map(event)
        items = mapped if isinstance(mapped, list | tuple | Iterator) else () if mapped is None else (mapped,)
        for item in items:
            try:
                yield self._written(item, event)
            except EncodeError as exc:
                exc.index = self._count if exc.index is None else exc.index
                raise

    def _written(self, item: object, of: Event) -> Event:
        """Return an item as it is sent, with what the event from upstream has besides its type and data."""
        if not isinstance(item, Event):
            item = Event(item, event=of.event, id=of.id)
        if isinstance(item, EncodedEvent) or item.data is MISSING:
            return item
        id = None if item.id == self._id else item.id  # it stays until another comes (WHATWG HTML, 9.2.6)
        self._id = item.id if id is not None else self._id
        data = item.data if isinstance(item.data, str) else dumps(item.data).decode()
        return raw(data, event=item.event, id=id, retry=self._new_retry() if item.retry is None else item.retry)

    def _new_retry(self) -> int | None:
        """Return the reconnection time, in milliseconds, that upstream has set since the last event."""
        before, self._retry = self._retry, self._decoder.retry
        return None if self._retry == before or self._retry is None else min(self._retry, MAX_RETRY)


class _Upstream:
    """An answer, or what opens one."""

    def __init__(self, response: Any) -> None:
        self._opener = None if hasattr(response, "iter_bytes") else response
        self._response: Any = None if self._opener is not None else response

    def _refusal(self, body: bytes) -> UpstreamError:
        response = self._response
        media_type = response.headers.get("Content-Type", "")
        what = f"answered {response.status_code}"
        return UpstreamError(
            what
            if response.status_code != 200
            else f"{what} with {media_type or 'no Content-Type'}, not an event stream",
            response.status_code,
            media_type,
            body[:MAX_BODY],
            response.headers.get("Retry-After", ""),
        )

    def _streams(self) -> bool:
        content_type = self._response.headers.get("Content-Type", "")
        return self._response.status_code == 200 and media_type(content_type) == "text/event-stream"


class _Sync(_Upstream):
    def __iter__(self) -> Iterator[bytes]:
        if self._opener is not None:
            self._response = self._opener.__enter__()
        if not self._streams():
            raise self._refusal(self._body())
        yield from self._response.iter_bytes()

    def _body(self) -> bytes:
        body, until = b"", time.monotonic() + BODY_SECONDS
        with suppress(Exception):  # that the answer was a refusal says more than why its body broke off
            for chunk in self._response.iter_bytes():
                body += chunk
                if len(body) >= MAX_BODY or time.monotonic() >= until:
                    break
        return body

    def close(self) -> None:
        """Close the answer, by what has opened it."""
        if self._opener is None:
            self._response.close()
        elif self._response is not None:
            self._opener.__exit__(None, None, None)


class _Async(_Upstream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._opener is not None:
            self._response = await self._opener.__aenter__()
        if not self._streams():
            raise self._refusal(await self._body())
        async for chunk in self._response.aiter_bytes():
            yield chunk

    async def _body(self) -> bytes:
        body, until = b"", time.monotonic() + BODY_SECONDS
        with suppress(Exception):
            async for chunk in self._response.aiter_bytes():
                body += chunk
                if len(body) >= MAX_BODY or time.monotonic() >= until:
                    break
        return body

    async def aclose(self) -> None:
        """Close the answer, by what has opened it."""
        if self._opener is None:
            await self._response.aclose()
        elif self._response is not None:
            await self._opener.__aexit__(None, None, None)
