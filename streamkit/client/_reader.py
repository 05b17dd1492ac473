"""What both readers do between two calls of httpx: build requests, judge answers, keep the position, choose pauses.

Nothing here sends or waits. A reader takes steps until it is over: it connects, reads a chunk, or waits for the next
connection. The items of a chunk are all handed out before the next step, so the position is always that of the last
item that was handed out.
"""

from __future__ import annotations

import logging
from typing import Any, Generic, TypeVar, Unpack

import httpx

from streamkit.client._errors import NotAStreamError, media_type_of, shown
from streamkit.client._options import LIKE_A_BROWSER, MAX_RETRY, RETRY, Options, Reconnection
from streamkit.decode import MAX_EVENT_SIZE, EventDecoder, JSONSeqDecoder, NDJSONDecoder
from streamkit.sse import Event

MAX_BODY = 8192  # bytes of an answer that is no stream
BODY_SECONDS = 5.0  # for them

Decoder = EventDecoder | NDJSONDecoder | JSONSeqDecoder
DECODERS: dict[str, type[EventDecoder] | type[NDJSONDecoder] | type[JSONSeqDecoder]] = {
    "text/event-stream": EventDecoder,
    "application/x-ndjson": NDJSONDecoder,
    "application/ndjson": NDJSONDecoder,
    "application/jsonl": NDJSONDecoder,
    "application/x-jsonlines": NDJSONDecoder,
    "application/json-seq": JSONSeqDecoder,
}
ACCEPT = "text/event-stream, application/x-ndjson, application/json-seq, */*;q=0.5"

FINAL = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
"""Errors of the request itself: sent again, it would fail again."""

ClientT = TypeVar("ClientT", httpx.Client, httpx.AsyncClient)

_logger = logging.getLogger("streamkit")


class BaseReader(Generic[ClientT]):
    """What is read and how far; the arguments are those of `connect`.

    Attributes:
        last_event_id: The position behind the event that was handed out last; None where none had an id.
        retry: Milliseconds before the next connection.
        response: The head of the stream that was opened last, or the 204 that ended it; None before the first.
    """

    def __init__(self, url: str, *, client: ClientT | None = None, **options: Unpack[Options]) -> None:
        if unknown := options.keys() - Options.__annotations__.keys():
            raise TypeError(f"connect() has no option {min(unknown)!r}")
        _check(url, options, bare=client is None)
        position = options.pop("last_event_id", None)
        self.last_event_id = None if position is None else Event(id=position).id  # which refuses what cannot be sent
        self._rules = options.pop("reconnection", LIKE_A_BROWSER)
        self.retry: int = RETRY if self._rules is None else self._rules.retry
        self.response: httpx.Response | None = None
        self._url = url
        self._client: ClientT | None = client
        self._own: ClientT | None = None
        self._method, self._auth = options.pop("method", "GET"), options.pop("auth", httpx.USE_CLIENT_DEFAULT)
        self._idle, self._until = options.pop("idle_timeout", 60.0), options.pop("until", None)
        self._max = options.pop("max_event_size", MAX_EVENT_SIZE)
        self._request_options: dict[str, Any] = {**options}
        self._open: httpx.Response | None = None
        self._use(EventDecoder)
        self._brought, self._in_vain, self._over = False, 0, False

    def _start(self) -> None:
        if self._over:
            raise RuntimeError("this reader is closed: connect again, with last_event_id=reader.last_event_id")

    def _request(self, client: ClientT) -> httpx.Request:
        self._timeouts = {**client.timeout.as_dict(), "read": self._idle}
        request = client.build_request(
            self._method, self._url, extensions={"timeout": self._timeouts}, **self._request_options
        )
        headers = request.headers
        headers.encoding = "utf-8"  # also of an id, WHATWG HTML, 9.2.3
        if headers["Accept"] == "*/*":
            headers["Accept"] = ACCEPT
        if "Accept-Encoding" not in httpx.Headers(self._request_options.get("headers")):
            headers["Accept-Encoding"] = "identity"  # what compresses may hold events back
        headers.setdefault("Cache-Control", "no-cache")  # sent by the cache mode of 9.2.2
        if self.last_event_id:  # 9.2.3: nothing is sent of an empty one; and HTTP has no blanks around a value
            headers["Last-Event-ID"] = self.last_event_id.strip(" \t")
        return request

    def _begin(self, response: httpx.Response) -> bool:
        """Take a head; return whether it is that of a stream, or says that there is no more of it."""
        self._open, kind = response, media_type_of(response)
        if response.status_code == 204:
            self.response, self._over = response, True
            return True
        if response.status_code != 200 or kind not in DECODERS:
            self._timeouts["read"] = BODY_SECONDS  # the transport looks it up when it begins with the body
            return False
        self.response = response
        self._use(DECODERS[kind])
        return True

    def _refusal(self, response: httpx.Response, body: bytes) -> NotAStreamError:
        url, kind = shown(response.request.url), media_type_of(response)
        return NotAStreamError(url, response.status_code, kind, response.headers, body[:MAX_BODY])

    def _use(self, kind: type[EventDecoder] | type[NDJSONDecoder] | type[JSONSeqDecoder]) -> None:
        self._decoder: Decoder = kind(max_event_size=self._max)
        if isinstance(self._decoder, EventDecoder):
            self._decoder.last_event_id = self.last_event_id  # it outlives the connection

    def _is_last(self, item: Any) -> bool:
        """Take note of an item that is about to be handed out; return whether nothing after it is wanted."""
        self._brought = True
        if isinstance(item, Event):
            self.last_event_id = item.id
        if callable(self._until):
            return bool(self._until(item))
        return self._until is not None and isinstance(item, Event) and item.event == self._until

    def _settle(self) -> None:
        """Take note of what a chunk said beside its items, now that these are handed out."""
        if isinstance(self._decoder, EventDecoder):
            self.last_event_id = self._decoder.last_event_id
            if self._decoder.retry is not None:
                self.retry = min(self._decoder.retry, MAX_RETRY)

    def _pause(self, error: Exception | None) -> float | None:
        """Return the seconds to wait for the next connection, None where there is none, or where nobody wants it.

        Raises:
            httpx.TransportError: There is none, and this error is why.
        """
        if self._over:  # closed by another task while this one was reading
            return None
        rules = self._rules
        self._in_vain = 0 if self._brought else self._in_vain + 1
        self._brought = False
        again = isinstance(self._decoder, EventDecoder) and not isinstance(error, FINAL)
        if rules is None or not again or not rules.repeats(self._method) or self._in_vain == rules.attempts:
            self._over = True
            if error is not None:
                raise error
            return None
        pause = rules.pause(self.retry, self._in_vain)
        if rules.on_reconnect is not None:
            rules.on_reconnect(error, pause)
        else:
            level = logging.INFO if error is None else logging.WARNING
            why = "the stream has ended" if error is None else repr(error)
            _logger.log(level, "%.200s: %.200s; connecting again in %.1f s", shown(self._url), why, pause)
        return pause


def _check(url: str, options: Options, *, bare: bool) -> None:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as exc:
        raise ValueError(f"url is none, {exc}; got {shown(url)!r:.200}") from exc
    if bare and not (address.scheme in ("http", "https") and address.host):
        raise ValueError(f"url begins with http:// or https:// and a host; got {shown(url)!r:.200}")
    idle, content, until = options.get("idle_timeout"), options.get("content"), options.get("until")
    if idle is not None and not idle > 0:
        raise ValueError(f"idle_timeout is a number of seconds above 0, or None; got {idle!r}")
    if content is not None and not isinstance(content, str | bytes):
        raise TypeError(f"content is sent anew with each connection, so it is str or bytes; got {content!r:.200}")
    if until is not None and not isinstance(until, str) and not callable(until):
        raise TypeError(f"until is an event type or a function; got {until!r:.200}")
    if not isinstance(options.get("reconnection"), Reconnection | None):
        raise TypeError(f"reconnection is a Reconnection, or None; got {options['reconnection']!r:.200}")
