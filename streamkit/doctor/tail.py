"""Read a stream in the terminal, as a browser's EventSource would (WHATWG HTML, 9.2.3). Needs httpx and rich.

An event stream is asked for again when it ends or breaks off, after its `retry`, with its last event ID; a 204, any
other status than 200 and another type end it. NDJSON has no ids, so its end is its end. What a server sends is printed
without the control characters that a terminal obeys.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from streamkit.decode import EventDecoder, JSONSeqDecoder, NDJSONDecoder
from streamkit.doctor._httpx import httpx
from streamkit.doctor.failures import EVENTS, RECORDS, content_type, failure
from streamkit.doctor.fetch import ACCEPT, why
from streamkit.doctor.observation import Observation, Variant
from streamkit.doctor.report import printable
from streamkit.errors import DecodeError
from streamkit.sse import Event

RETRY = 3.0  # seconds before the next attempt, where the stream names none
TRIES = 5  # attempts in a row that bring no event
LARGEST = 2**24  # bytes of one event


@dataclass(frozen=True, slots=True)
class Asked:
    """What is read: the address, headers, how certificates are taken, where to begin and where to end."""

    url: str
    headers: Mapping[str, str]
    insecure: bool = False
    last_event_id: str | None = None
    until: str | None = None
    once: bool = False


class Printer:
    """Print items as lines for people, or as JSON."""

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self._console, self._as_json = console, as_json

    def item(self, item: object) -> None:
        """Print an event, or a value of NDJSON."""
        if self._as_json:
            fields = {"event": item.event, "id": item.id, "data": item.data} if isinstance(item, Event) else item
            self._console.print(Text(json.dumps(fields)), soft_wrap=True)
            return
        line = Text(f"{datetime.now():%H:%M:%S.%f}"[:12], "dim")
        if isinstance(item, Event):
            line.append(f"  {printable(item.event or 'message')}", "cyan")
            line.append(f"  {printable(item.id)}" if item.id else "", "dim")
            text = str(item.data)
        else:
            text = json.dumps(item, ensure_ascii=False)
        line.append("  " + "\n".join(printable(part) for part in text.split("\n")))
        self._console.print(line, soft_wrap=True)

    def note(self, text: str) -> None:
        """Say something about the connection, on stderr."""
        Console(stderr=True, highlight=False).print(Text(printable(text), "yellow"), soft_wrap=True)


class _Over(Exception):
    """There is nothing more to read; `code` is the exit code."""

    def __init__(self, code: int, why: str = "") -> None:
        super().__init__(why)
        self.code, self.why = code, why


def tail(asked: Asked, printer: Printer, sleep: Callable[[float], None] = time.sleep) -> int:
    """Print a stream until it is over; return the exit code, 0 for an end and 2 for a failure."""
    in_vain, reader = 0, _Reader(asked)
    while True:
        ended = "the stream has ended"
        try:
            for item in reader.connection():
                printer.item(item)
                in_vain = 0
                if asked.until is not None and isinstance(item, Event) and item.event == asked.until:
                    return 0
        except _Over as over:
            if over.why:
                printer.note(over.why)
            return over.code
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as exc:
            ended = why(exc)
            if not reader.is_events:
                printer.note(ended)
                return 2
        in_vain += 1
        if asked.once or in_vain > TRIES:
            printer.note(ended)
            return 0 if ended == "the stream has ended" else 2
        printer.note(f"{ended}; once more in {reader.retry:g} s, after id {reader.last_event_id or 'none'}")
        sleep(reader.retry)


class _Reader:
    """The connections to one stream, one after the other, and what is kept from one to the next."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self.retry = RETRY
        self.last_event_id = asked.last_event_id
        self.is_events = False

    def connection(self) -> Iterator[Any]:
        """Yield the items of one connection.

        Raises:
            _Over: It is no stream, or the last there is.
            httpx.HTTPError: The connection could not be made, or broke off.
        """
        headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip", "Cache-Control": "no-store", **self._asked.headers}
        if self.last_event_id is not None:
            headers["Last-Event-ID"] = self.last_event_id
        raw = {name.encode(): value.encode() for name, value in headers.items()}  # an id is UTF-8, WHATWG HTML, 9.2.4
        timeout = httpx.Timeout(10.0, read=None)
        with (
            httpx.Client(verify=not self._asked.insecure, timeout=timeout, http2=True, follow_redirects=True) as client,
            client.stream("GET", self._asked.url, headers=raw) as response,
        ):
            kind = _kind(response)
            self.is_events = kind == EVENTS
            try:
                yield from self._items(response, kind)
            except DecodeError as exc:
                raise _Over(2, f"the stream cannot be read: {exc}") from exc
        if not self.is_events:
            raise _Over(0)

    def _items(self, response: httpx.Response, kind: str) -> Iterator[Any]:
        decoder: Any = {EVENTS: EventDecoder, RECORDS: JSONSeqDecoder}.get(kind, NDJSONDecoder)(max_event_size=LARGEST)
        for chunk in response.iter_bytes():
            items = decoder.feed(chunk)
            if self.is_events:
                self._remember(decoder)
            yield from items
        yield from decoder.close()

    def _remember(self, decoder: EventDecoder) -> None:
        if decoder.retry is not None:
            self.retry = decoder.retry / 1000
        if decoder.last_event_id is not None:
            self.last_event_id = decoder.last_event_id


def _kind(response: httpx.Response) -> str:
    """Return the media type of a stream.

    Raises:
        _Over: It is none.
    """
    headers = {name.lower(): value for name, value in response.headers.items()}
    seen = Observation(Variant("tail"), status=response.status_code, headers=headers)
    if seen.status == 204:
        raise _Over(0, "the server says that the stream is over (204)")
    fault = failure(seen)
    if fault is not None:
        raise _Over(2, fault.evidence)
    return content_type(seen)
