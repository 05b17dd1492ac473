"""Many EventSources, on one event loop in a thread of its own.

Each does as a browser's: it keeps the last event ID, comes back a moment after its connection has ended, however that
came about, and asks for what follows (WHATWG HTML, 9.2.3).

What a browser does not do: it comes back after a status other than 200 too, and that is counted.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from streamkit import Event
from streamkit.decode import EventDecoder
from tests.chaos.judge import GAP, Verdict, judge
from tests.chaos.publisher import Published
from tests.rig.apps.numbers import NUMBERS, OTHERS

RETRY = (0.05, 0.4)
"""Seconds until a listener comes back, drawn each time."""


@dataclass(frozen=True)
class Manner:
    """One way to listen: what is asked for, and what is to come of it.

    Attributes:
        query: See `tests.rig.apps.numbers`.
        channels: Those it is to get.
        every: It is to get each so many-th number alone.
        drops: Whether a gap may be its own fault.
    """

    query: str
    channels: tuple[str, ...] = (NUMBERS,)
    every: int = 1
    drops: bool = False


MANNERS = (
    Manner(""),
    Manner(""),
    Manner("both", (NUMBERS, OTHERS)),
    Manner("live"),
    Manner("every=3", every=3),
    Manner("drop", drops=True),
    Manner("both&live&every=5&drop", (NUMBERS, OTHERS), every=5, drops=True),
)
"""The first twice, since it is what most will do."""


class Listener:
    """One EventSource.

    Attributes:
        manner: How it listens.
        histories: By channel; numbers, and GAP for each gap event.
        notes: What else happened, and when, for whoever looks for a fault.
        last_event_id: As the standard keeps it.
        refused: How often the status was not 200.
        opened: How often it was.
    """

    def __init__(self, port: int, manner: Manner, dice: random.Random) -> None:
        self.manner = manner
        self.histories: dict[str, list[int | None]] = {channel: [] for channel in manner.channels}
        self.notes: list[tuple[float, str]] = []
        self.last_event_id: str | None = None
        self.refused = self.opened = 0
        self._port = port
        self._dice = dice
        self._ended = False
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    def has(self, numbers: Mapping[str, int]) -> bool:
        """Tell whether it has come to a number of each channel, or the last before it that it is to get."""
        return all(
            max((item for item in history[-10:] if item is not None), default=0)
            >= numbers[channel] - numbers[channel] % self.manner.every
            for channel, history in self.histories.items()
        )

    def verdicts(self, published: Mapping[str, Published]) -> list[Verdict]:
        """Return what the judge says of each channel; of each so many-th number as if there were no other."""
        every, verdicts = self.manner.every, []
        for channel, history in self.histories.items():
            shown = [item if item is None else item // every if item % every == 0 else -1 for item in history]
            unanswered = {number // every for number in published[channel].unanswered if number % every == 0}
            verdicts.append(judge(shown, published[channel].last // every, unanswered))
        return verdicts

    def open(self) -> None:
        """Connect, now or as soon as it can be done; in the loop."""
        if self._ended:
            return
        self._task = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(5.0):
                await asyncio.get_running_loop().create_connection(self._connect, "127.0.0.1", self._port)
        except (OSError, TimeoutError) as error:
            self.note(f"cannot connect: {error!r}")
            if self._connection is None:  # else that one comes to know that it was given up
                self.come_back()

    def _connect(self) -> Connection:
        self._connection = Connection(self)
        return self._connection

    def request(self) -> bytes:
        """Return what it asks for."""
        after = f"Last-Event-ID: {self.last_event_id}\r\n" if self.last_event_id else ""
        lines = f"GET /events?{self.manner.query} HTTP/1.1\r\nHost: chaos\r\nAccept: text/event-stream\r\n"
        return f"{lines}{after}\r\n".encode()

    def take(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event.id, str):
            self.last_event_id = event.id
        data = str(event.data)
        if event.event in (None, OTHERS):
            self.histories[event.event or NUMBERS].append(int(data))
            return
        self.note(f"{event.event} {data}, id {event.id}")
        if event.event == "gap":
            self.histories[json.loads(data).get("channel", NUMBERS)].append(GAP)
        elif event.event != "cursor":
            self.histories[NUMBERS].append(-1)  # which the judge takes for what it is

    def note(self, text: str) -> None:
        """Remember what happened."""
        ends = {channel: history[-2:] for channel, history in self.histories.items()}
        self.notes.append((time.time(), f"{text}, after {ends}"))

    def come_back(self) -> None:
        """Open again in a moment."""
        self._connection = None
        if not self._ended:
            asyncio.get_running_loop().call_later(self._dice.uniform(*RETRY), self.open)

    def leave(self) -> None:
        """Cut the connection, and come back; in the loop."""
        if self._connection is not None:
            self._connection.cut()

    def end(self) -> None:
        """Leave for good; in the loop."""
        self._ended = True
        self.leave()
        if self._task is not None:
            self._task.cancel()


class Connection(asyncio.Protocol):
    """One request, and its response."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._decoder = EventDecoder()
        self._body = Chunks()
        self._head: bytearray | None = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._listener.request())

    def data_received(self, data: bytes) -> None:
        """Read the head, then events."""
        if self._head is not None:
            self._head += data
            head, found, rest = bytes(self._head).partition(b"\r\n\r\n")
            if not found or not self._accept(head):
                return
            self._head, data = None, rest
        for event in self._decoder.feed(self._body.feed(data)):
            self._listener.take(event)
        if self._body.ended:
            self.cut()

    def _accept(self, head: bytes) -> bool:
        if b" 200 " in head[:16] and b"transfer-encoding: chunked" in head.lower():
            self._listener.opened += 1
            return True
        self._listener.refused += 1
        self._listener.note(f"refused: {head[:100]!r}")
        self.cut()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Come back."""
        self._listener.note(f"connection lost: {exc!r}, body ended: {self._body.ended}")
        self._listener.come_back()

    def cut(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()


class Chunks:
    """Reads a chunked body (RFC 9112, section 7.1) without trailers.

    Attributes:
        ended: Whether the last chunk has come.
    """

    def __init__(self) -> None:
        self._raw = b""
        self._left = 0  # bytes of the present chunk, with its CRLF
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """Return what of the body has come."""
        self._raw += data
        body = []
        while self._raw and not self.ended:
            if self._left == 0 and not self._begin_chunk():
                break
            taken, self._raw = self._raw[: self._left], self._raw[self._left :]
            body.append(taken[: max(self._left - 2, 0)])
            self._left -= len(taken)
        return b"".join(body)

    def _begin_chunk(self) -> bool:
        line, found, rest = self._raw.partition(b"\r\n")
        if not found:
            return False
        size = int(line.split(b";")[0], 16)
        self._raw, self._left, self.ended = rest, size + 2, size == 0
        return True


Each = TypeVar("Each", bound=Listener)


def in_all_manners(port: int, count: int, seed: int) -> list[Listener]:
    """Return so many listeners, with dice of their own."""
    dice = random.Random(seed)
    return [Listener(port, MANNERS[place % len(MANNERS)], random.Random(dice.random())) for place in range(count)]


class Crowd(Generic[Each]):
    """Listeners in a thread of their own; a context manager that ends them."""

    def __init__(self, listeners: Sequence[Each]) -> None:
        self.listeners = listeners
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos-crowd", daemon=True)

    def leave(self, count: int, dice: random.Random) -> None:
        """Have some of them cut their connections, and come back."""
        for listener in dice.sample(self.listeners, count):
            self._loop.call_soon_threadsafe(listener.leave)

    def wait_until_placed(self, within: float) -> None:
        """Wait until each has an id to come back with."""
        self._wait(lambda listener: bool(listener.last_event_id), within, "have an id")

    def wait_for(self, numbers: Mapping[str, int], within: float) -> None:
        """Wait until each has come to these numbers of its channels."""
        self._wait(lambda listener: listener.has(numbers), within, f"have {numbers}")

    def _wait(self, ready: Callable[[Each], bool], within: float, what: str) -> None:
        until = time.monotonic() + within
        while behind := [listener for listener in self.listeners if not ready(listener)]:
            if time.monotonic() > until:
                first = behind[0]
                notes = "\n".join(map(str, first.notes[-20:]))
                ends = {channel: history[-3:] for channel, history in first.histories.items()}
                raise AssertionError(
                    f"{len(behind)} listeners do not {what} after {within} s; the first, {first.manner}, has {ends}"
                    f" and the id {first.last_event_id}:\n{notes}"
                )
            time.sleep(0.05)

    def __enter__(self) -> Self:
        self._thread.start()
        for listener in self.listeners:
            self._loop.call_soon_threadsafe(listener.open)
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self.listeners:
            self._loop.call_soon_threadsafe(listener.end)
        self._loop.call_soon_threadsafe(self._loop.call_later, 0.2, self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()
