"""Read an event stream, NDJSON or a JSON text sequence over HTTP, and come back as a browser does. Needs httpx.

    async with connect("https://example.com/news") as events:
        async for event in events:
            print(event.event, event.data)

An event stream is asked for again after its `retry`, with its last event ID, when it ends or breaks off (WHATWG HTML,
9.2.3); 204 is its end, and any other answer raises `NotAStreamError`. NDJSON and JSON sequences have no ids: their end
is their end, and one that breaks off raises. An optional part: the core imports none of it.
"""

from typing import Unpack

try:
    import httpx
except ImportError as _exc:  # pragma: no cover - run by a test in another process
    raise ImportError('the client needs httpx: pip install "streamkit-http[client]"') from _exc

from streamkit.client._async import AsyncReader
from streamkit.client._errors import NotAStreamError
from streamkit.client._options import Options, Reconnection
from streamkit.client._sync import Reader

__all__ = ["AsyncReader", "NotAStreamError", "Reader", "Reconnection", "connect", "connect_sync"]


def __dir__() -> list[str]:
    return __all__


def connect(url: str, *, client: httpx.AsyncClient | None = None, **options: Unpack[Options]) -> AsyncReader:
    """Return what reads a stream with `async for`; the connection is made when the loop begins.

    It yields an `Event`, whose data is text, for each event, and a value for each line or record of JSON. `async with`
    closes the connection in your task when the block is left. A loop alone leaves that to the garbage collector and a
    task of the event loop, a moment later.

    Args:
        url: http or https; with a client of your own also what its `base_url` makes one of.
        client: Sends the requests and is left open; without, one is made and closed. Its read time-out is not used.

    Keyword Args:
        reconnection: A `Reconnection`, or None for a stream that is read once.
        idle_timeout: Seconds without a byte, a keepalive among them, after which the connection counts as lost; 60, or
            None for never.
        last_event_id: Where to go on after.
        until: The event type after which there is nothing more to read, or a function that is given each item.
        max_event_size: Bytes that one event or line may have; 1 MiB, or None for no limit.
        method: As in `httpx.request`, as are `headers`, `params`, `json`, `content`, `data` and `auth`.

    Raises:
        TypeError: There is no such option, or `content` cannot be sent twice.
        ValueError: The URL is none, or a number is out of range.
        InvalidEventError: `last_event_id` is none that a header could carry.

    The loop raises `NotAStreamError`; `DecodeError` for bytes that are not what the type promises, and for an event
    that is too large; `httpx.TransportError` where a connection failed that is not made again; and what else httpx
    raises, such as `httpx.TooManyRedirects`.
    """
    return AsyncReader(url, client=client, **options)


def connect_sync(url: str, *, client: httpx.Client | None = None, **options: Unpack[Options]) -> Reader:
    """Return what reads a stream with `for`; all else is as in `connect`."""
    return Reader(url, client=client, **options)
