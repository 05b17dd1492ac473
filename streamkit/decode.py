"""The formats read back: bytes in any chunks in, events or values out.

Nothing that is complete is lost: where a chunk holds complete items and then a fault, `feed` returns the items and the
next call raises. After a DecodeError call again, with `feed(b"")` or `close()`, to go on behind the bad line or
record. After an EventTooLargeError every call raises.
Time is linear in the bytes however they are cut; memory is bounded by a few times `max_event_size`.
"""

import json
import sys
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, Generic, TypeVar

from streamkit.errors import DecodeError, EventTooLargeError
from streamkit.sse import Event

Item = TypeVar("Item")

# Far above any event of a token stream, and a thousand senders that all fill it cost one gigabyte.
MAX_EVENT_SIZE = 2**20

_BLANK = b" \t\r\n"  # the white space of JSON (RFC 8259, 2)


class _Decoder(ABC, Generic[Item]):
    """Cut chunks into lines and keep items and faults in order.

    Args:
        max_event_size: The most bytes that one line, and the data of one event or record, may have; None, for a
            sender that may have all your memory, removes the limit.

    Raises:
        ValueError: `max_event_size` is not an int of at least 1.
    """

    _unit = "line"
    _end: bytes | None = b""  # what completes an unfinished last line; None drops it
    _at_start = True

    def __init__(self, *, max_event_size: int | None = MAX_EVENT_SIZE) -> None:
        self._limit = sys.maxsize if max_event_size is None else max_event_size
        if not isinstance(self._limit, int) or self._limit < 1:
            raise ValueError(f"max_event_size must be an int of bytes, at least 1, or None; got {max_event_size!r}")
        self._lines: deque[bytes] = deque()  # whole, not yet read
        self._rest = bytearray()  # the line whose end has not come
        self._held = bytearray()  # the lines of the item whose end has not come
        self._count = 0
        self._fault: DecodeError | None = None

    def feed(self, chunk: bytes) -> list[Item]:
        """Return the items that `chunk` completes.

        Raises:
            DecodeError: A line or record is not what the format promises.
            EventTooLargeError: One is larger than `max_event_size`.
        """
        if not isinstance(self._fault, EventTooLargeError):
            *whole, rest = self._normal(bytes(chunk)).split(b"\n")
            if whole:
                whole[0] = bytes(self._rest + whole[0])
                self._rest.clear()
            self._rest += rest
            self._lines.extend(whole)
        return self._read()

    def close(self) -> list[Item]:
        """Return what the end of the body completes; raises as `feed`, and may be called again after that."""
        if self._end is not None:
            self._lines.append(bytes(self._rest) + self._end)
        self._rest.clear()
        return self._read()

    def _read(self) -> list[Item]:
        items: list[Item] = []
        try:
            if self._fault is not None:
                fault, self._fault = self._fault, None
                raise fault.with_traceback(None)
            while self._lines:
                line = self._lines.popleft()
                self._check(len(line))
                if self._at_start:
                    line, self._at_start = line.removeprefix(b"\xef\xbb\xbf"), False
                items += self._take(line)
            self._check(len(self._rest))
        except DecodeError as fault:
            if isinstance(fault, EventTooLargeError):
                self._lines.clear()
                self._rest.clear()
                self._held.clear()
                self._fault = fault
            if not items:
                raise
            self._fault = fault
        return items

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise EventTooLargeError(self._unit, self._count + 1, self._limit)

    def _normal(self, chunk: bytes) -> bytes:
        return chunk

    @abstractmethod
    def _take(self, line: bytes) -> list[Item]:
        """Read one whole line and return the items that it completes."""


class EventDecoder(_Decoder[Event]):
    """Read an event stream as a browser does (WHATWG HTML 9.2.6).

    An event's `data` is text; `event` is None where the stream named no type; `id` is the last event ID, which stays
    until another comes, None before the first. What has no blank line after it when the body ends is discarded.
    `retry` is the reconnection time last received, in milliseconds.
    """

    _unit = "event"
    _end = None
    retry: int | None = None
    last_event_id: str | None = None
    _after_cr = False
    _type = b""
    _id: bytes | None = None

    def _normal(self, chunk: bytes) -> bytes:
        if not chunk:
            return chunk
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")  # the second half of a CRLF that was cut
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _take(self, line: bytes) -> list[Event]:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._held += value + b"\n"
            self._check(len(self._held) - 1)
        elif name == b"event":
            self._type = value
        elif name == b"id" and b"\0" not in value:
            self._id = value
        elif name == b"retry" and value.isdigit() and len(value) < 20:
            self.retry = int(value)
        return []

    def _dispatch(self) -> list[Event]:
        if self._id is not None:
            self.last_event_id = self._id.decode(errors="replace")
        data, kind = self._held.decode(errors="replace"), self._type.decode(errors="replace")
        self._held.clear()
        self._type = b""
        if not data:
            return []
        self._count += 1
        return [Event(data[:-1], event=kind or None, id=self.last_event_id)]


class NDJSONDecoder(_Decoder[Any]):
    """Read NDJSON: one value a line, blank lines skipped, CRLF accepted, a last line without its end accepted."""

    def _take(self, line: bytes) -> list[Any]:
        self._count += 1
        return [_parse(line, self._unit, self._count)] if line.strip(_BLANK) else []


class JSONSeqDecoder(_Decoder[Any]):
    """Read JSON text sequences (RFC 7464): a lone RS is skipped, a value that may be cut short is a fault.

    A record is delivered at its LF. Only a large one written over many lines may wait for the RS of the next.
    """

    _unit = "record"
    _end = b"\x1e"
    _open = False  # after an RS, until the record is complete
    _spent = 0  # bytes parsed in vain to find the end of this record

    def _normal(self, chunk: bytes) -> bytes:
        return chunk.replace(b"\x1e", b"\x1e\n")  # so a line that ends in RS was ended by it

    def _take(self, line: bytes) -> list[Any]:
        if line.endswith(b"\x1e"):
            return self._separate(line[:-1])
        if not self._open:
            return self._stray(line)
        self._held += line + b"\n"
        self._check(len(self._held) - 1)
        # Is it the last line of its record? A wrong guess costs a parse of the whole, so they have a budget.
        if line.rstrip(_BLANK)[-1:] in b",:[{" or self._spent > 8 * len(self._held) + 65536:
            return []
        self._spent += len(self._held)
        try:
            value = _parse(self._held, self._unit, self._count + 1)
        except DecodeError:
            return []
        self._count += 1
        self._held.clear()
        self._open = False
        return [value]

    def _separate(self, last: bytes) -> list[Any]:
        was_open, self._open, self._spent = self._open, True, 0
        if not was_open:
            return self._stray(last)
        record = bytes(self._held) + last
        self._held.clear()
        if not record.strip(_BLANK):
            return []
        self._count += 1
        value = _parse(record, self._unit, self._count)
        if record[-1:] not in _BLANK and not isinstance(value, dict | list | str):  # RFC 7464, 2.4
            raise DecodeError(self._unit, self._count, "a value without a line feed after it may be cut short")
        return [value]

    def _stray(self, text: bytes) -> list[Any]:
        if text.strip(_BLANK):
            raise DecodeError(self._unit, self._count + 1, "there is text outside a record")
        return []


def _parse(text: bytes | bytearray, unit: str, number: int) -> Any:
    try:
        return _JSON.decode(text.decode())
    except (ValueError, RecursionError) as exc:
        raise DecodeError(unit, number, str(exc)) from exc


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse)
