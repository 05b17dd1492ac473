"""Read a stream in the terminal, as a browser's EventSource would. Needs httpx and rich.

`streamkit.client` reads it and connects again; here its items are printed, without the control characters that a
terminal obeys, and what happens to the connection is said.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.text import Text

from streamkit.client import NotAStreamError, Reader, Reconnection, connect_sync
from streamkit.client._errors import media_type_of
from streamkit.doctor._failures import EVENTS, failure
from streamkit.doctor._fetch import made, why
from streamkit.doctor._httpx import httpx
from streamkit.doctor._observation import Observation, Variant
from streamkit.doctor._report import printable
from streamkit.errors import DecodeError
from streamkit.sse import Event

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


def tail(asked: Asked, printer: Printer, sleep: Callable[[float], None] = time.sleep) -> int:
    """Print a stream until it is over; return the exit code, 0 for an end and 2 for a failure."""

    def note(error: Exception | None, pause: float) -> None:
        if error is not None and reader.response is None:
            raise error  # a server that was never there is not waited for
        ended = "the stream has ended" if error is None else why(error)
        printer.note(f"{ended}; once more in {pause:g} s, after id {reader.last_event_id or 'none'}")

    rules = Reconnection(backoff=0, jitter=0, attempts=TRIES, on_reconnect=note, sleep=sleep)
    try:
        with _client(asked) as client:
            reader = connect_sync(
                asked.url,
                client=client,
                reconnection=None if asked.once else rules,
                idle_timeout=None,
                last_event_id=asked.last_event_id,
                max_event_size=LARGEST,
                headers={"Accept-Encoding": "gzip", **asked.headers},
            )
            return _print(reader, asked, printer)
    except NotAStreamError as exc:
        printer.note(_fault(exc))
    except DecodeError as exc:
        printer.note(f"the stream cannot be read: {exc}")
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as exc:
        printer.note(why(exc))
    return 2


def _client(asked: Asked) -> httpx.Client:
    return made(httpx.Client, verify=not asked.insecure, timeout=10.0, http2=True)


def _print(reader: Reader, asked: Asked, printer: Printer) -> int:
    for item in reader:
        printer.item(item)
        if asked.until is not None and isinstance(item, Event) and item.event == asked.until:
            return 0
    if reader.response is not None and reader.response.status_code == 204:
        printer.note("the server says that the stream is over (204)")
    elif reader.response is not None and media_type_of(reader.response) == EVENTS:
        printer.note("the stream has ended")
    return 0


def _fault(exc: NotAStreamError) -> str:
    headers = {name.lower(): value for name, value in exc.headers.items()}
    fault = failure(Observation(Variant("tail"), status=exc.status, headers=headers, body=exc.body))
    return str(exc) if fault is None else fault.evidence
