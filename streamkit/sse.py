"""Event streams, `text/event-stream` (WHATWG HTML 9.2): the `Event` and how it is written.

An Event that could not be sent cannot be built, so encoding fails on data alone. Lines end in LF only, since real
clients fail on CRLF and on CR. Fields are written in the order comment, event, id, retry, data: a frame that
begins with `data:` has no other field. A blank line ends a frame that has an id or data and no other, because
after a comment or a retry by itself some clients would dispatch an event that nobody sent.
"""

import warnings
from collections.abc import Callable, Hashable
from dataclasses import FrozenInstanceError, dataclass, fields
from enum import Enum
from functools import cache
from json import loads
from operator import attrgetter
from typing import Any, ClassVar, Final

from streamkit import _json
from streamkit._format import Format
from streamkit._json import Dumps, as_text, default, dumps, encoder, settled, text_bytes
from streamkit.errors import InvalidEventError


class _Missing(Enum):
    MISSING = "missing"

    def __repr__(self) -> str:
        return "nothing"  # what errors and help() show


MISSING: Final = _Missing.MISSING

# The largest delay of a JavaScript timer; client libraries that are given more reconnect at once, in a loop.
_MAX_MS = 2**31 - 1

# Of one EncodedEvent. It may be kept for an hour, and an app that makes a format for each response must not fill it.
_MAX_FRAMES = 4

# At the first dicts of a format, for ones that are meant as events: a look at every dict is a tenth of its time.
_LOOKS = 100


@dataclass(frozen=True, init=False, repr=False)
class Event:
    """Hold one event as it will be sent, checked when it is built.

    Args:
        data: Text, or any value that is sent as JSON. Left out, no event is dispatched. `Event("")` is dispatched
            with empty data and `Event(None)` with JSON's null.
        event: The event type, one line. Not `error`, which is EventSource's own event for a lost connection.
        id: The last event ID from here on, one line without NUL; an int is sent in decimal. `""` clears it.
        retry: The time in milliseconds before the client reconnects, an int from 0 to 2147483647.
        comment: Text that no client shows, of any number of lines.

    Raises:
        InvalidEventError: A field cannot be sent, there is none at all, or there is a type without data.

    The browser calls the listeners of `event`, or of `message` where there is none, with `data` and the last id.
    An Event with an id but no data moves the id only. (WHATWG HTML 9.2.5 and 9.2.6)
    """

    __slots__ = ("_comment", "_data", "_event", "_id", "_retry")

    data: Any
    event: str | None
    id: str | None
    retry: int | None
    comment: str | None

    not_json: ClassVar[bool] = True  # refused inside another value, where its fields would mean nothing

    def __init__(
        self,
        data: Any = MISSING,
        *,
        event: str | None = None,
        id: str | int | None = None,
        retry: int | None = None,
        comment: str | None = None,
    ) -> None:
        if data is MISSING and event is not None:
            raise InvalidEventError("event", event, 'without data is dispatched by no client, use data=""')
        if data is MISSING and id is None and retry is None and comment is None:
            raise InvalidEventError("data", data, "or another field is needed")
        # A printable str has no line break, no NUL and no lone surrogate: the common fields need no further look.
        self._data = data
        self._event = event if event is None or (type(event) is str and event.isprintable()) else _line("event", event)
        self._id = id if id is None or (type(id) is str and id.isprintable()) else _line("id", id)
        self._retry = retry if retry is None or (type(retry) is int and 0 <= retry <= _MAX_MS) else _milliseconds(retry)
        self._comment = None if comment is None else _text("comment", comment)

    def __repr__(self) -> str:
        shown = [f"{name}={value!r}" for name in self.__match_args__[1:] if (value := getattr(self, name)) is not None]
        return f"Event({', '.join(shown if self.data is MISSING else [repr(self.data), *shown])})"


_FIELDS = frozenset(field.name for field in fields(Event))


def _refuse(*_: object) -> None:
    raise FrozenInstanceError("an Event cannot be changed; dataclasses.replace() makes another")


# Fields that refuse by themselves, in place of the guard of a frozen class: past that, each of the five assignments in
# `__init__` takes a tenth of what a whole Event takes now.
del Event.__setattr__, Event.__delattr__
for _name in _FIELDS:
    setattr(Event, _name, property(attrgetter(f"_{_name}"), _refuse, _refuse))


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidEventError(field, value, "must be a str")
    text = str.__str__(value)  # a str subclass may format itself in another way
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidEventError(field, value, "must not hold a lone surrogate")
    return text


def _line(field: str, value: object) -> str:
    if field == "id" and isinstance(value, int) and not isinstance(value, bool):
        try:
            return str(int(value))
        except ValueError as exc:  # longer than Python writes
            raise InvalidEventError("id", f"{value:#x}", str(exc)) from None
    text = _text(field, value)
    if "\n" in text or "\r" in text:
        raise InvalidEventError(field, value, "must not hold a line break")
    if field == "id" and "\0" in text:  # 9.2.6: the field would be ignored
        raise InvalidEventError(field, value, "must not hold NUL")
    return text


def _milliseconds(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_MS:
        raise InvalidEventError("retry", value, f"must be an int of milliseconds from 0 to {_MAX_MS}")
    return int(value)


class EncodedEvent(Event):
    """An Event whose data was encoded before, for any number of streams; what formats write of it is kept.

    Args:
        encoded: The data: text, or one line of JSON.
        is_json: Which of the two it is.
        event: As in `Event`, and so is `id`.
        id: See `event`.
    """

    __slots__ = ("_value", "encoded", "frames", "is_json")

    encoded: bytes
    is_json: bool
    frames: dict[Hashable, bytes]
    _value: Any

    def __init__(self, encoded: bytes, *, is_json: bool, event: str | None = None, id: str | None = None) -> None:
        super().__init__("", event=event, id=id)  # the data has a place of its own
        self.encoded, self.is_json, self.frames = encoded, is_json, {}
        self._data = self._value = MISSING

    @property
    def data(self) -> Any:
        """The data as it was, as far as JSON keeps it. All streams share it: do not change it."""
        if self._value is MISSING:
            self._value = loads(self.encoded) if self.is_json else self.encoded.decode()
        return self._value

    def written(self, by: Hashable, write: Callable[[], bytes]) -> bytes:
        """Return what `write` returns, called once for all who give the same `by`."""
        frame = self.frames.get(by)
        if frame is None:
            frame = write()
            if len(self.frames) < _MAX_FRAMES:
                self.frames[by] = frame
        return frame

    def with_id(self, id: str | None) -> "EncodedEvent":
        """Return the same event with another id."""
        return EncodedEvent(self.encoded, is_json=self.is_json, event=self.event, id=id)


class EventStream(Format):
    """Write an `Event` as itself, a str as text, everything else as JSON; `bytes` is refused.

    Args:
        json: Write text as JSON too. What tokens of a language model want: a token that is a lone line break
            survives in every client, and the page reads `JSON.parse(event.data)`.
        dumps: Your own JSON encoder, returning str or bytes.
        media_type: Sent as Content-Type; clients compare it in lower case.
    """

    keepalive = b":\n"  # no blank line after it: see the module docstring
    keepalive_by_default = True

    def __init__(
        self, *, json: bool = False, dumps: Dumps | None = None, media_type: str = "text/event-stream"
    ) -> None:
        self.media_type = media_type
        self._text: type | None = None if json else str
        self._dumps = encoder(dumps)
        self._looks = 0
        self._known: type | None = None  # dict, once there were enough looks
        # Formats of which this is the same write the same frames.
        self._writes = ("event stream", json, dumps if isinstance(dumps, Hashable) else self._dumps)

    def encode(self, item: Any) -> bytes:
        """Return the lines of one item; raise EncodeError where its data is neither text nor JSON."""
        kind = type(item)
        if kind is self._known:
            try:  # what `dumps` does, without a call that would be an eighth of it
                lines = _json.write(item, default, _json.options)
            except TypeError:
                lines = dumps(item)
            if b"u"[0] in lines or not lines.isascii():
                lines = settled(lines, item)
        elif kind is self._text:
            # The common token: `in` on the str and one encode() of one f-string cost half of any other way.
            if "\n" not in item and "\r" not in item and item.isascii():
                return f"data: {item}\n\n".encode()
            lines = text_bytes(item)
        elif kind is EncodedEvent:
            return item.frames.get(self._writes) or self._shared(item)
        elif kind is Event or isinstance(item, Event):
            return self._fields(item)
        else:
            if kind is dict:
                self._look_at(item)
            lines = self._unprefixed(item)
        if b"\n"[0] in lines or b"\r"[0] in lines:
            lines = _prefixed(b"\ndata: ", lines)
        return lines.join((b"data: ", b"\n\n"))  # they stand between the two: quicker than %, and 30 times so at 1 MB

    def _look_at(self, item: dict[Any, Any]) -> None:
        self._looks += 1
        self._known = dict if self._looks >= _LOOKS and self._dumps is dumps else None
        if "data" in item and item.keys() <= _FIELDS:
            _warn_of_dict()

    def with_retry(self, frame: bytes, retry: int) -> bytes:
        """Return the frame with a `retry:` line before its data, unless it has no data or a retry of its own.

        Only inside an event with data is the line safe: openai-python fails on a block that has nothing else.
        """
        if frame.startswith(b"data:"):
            return b"retry: %d\n%b" % (retry, frame)
        if frame.startswith(b"retry:") or b"\nretry:" in frame:
            return frame
        return frame.replace(b"\ndata:", b"\nretry: %d\ndata:" % retry, 1)

    def _shared(self, event: EncodedEvent) -> bytes:
        return event.written(self._writes, lambda: self._fields(event))  # not in `encode`: its items would be in cells

    def _fields(self, event: Event) -> bytes:
        data, kind = event._data, type(event._data)
        plain = kind is self._text and "\n" not in data and "\r" not in data and data.isascii()
        head = "" if event._retry is None else f"retry: {event._retry}\n"
        if event._event is not None and event._id is not None:
            head = f"event: {event._event}\nid: {event._id}\n{head}"
        elif event._id is not None:
            head = f"id: {event._id}\n{head}"
        elif event._event is not None:
            head = f"event: {event._event}\n{head}"
        if event._comment is not None:
            head = ": " + _prefixed(b"\n: ", event._comment.encode()).decode() + f"\n{head}"
        if plain:
            return f"{head}data: {data}\n\n".encode()
        if type(event) is EncodedEvent and (event.is_json or self._text):
            return b"%bdata: %b\n\n" % (head.encode(), _prefixed(b"\ndata: ", event.encoded))
        if event.data is not MISSING:
            return b"%bdata: %b\n\n" % (head.encode(), _prefixed(b"\ndata: ", self._unprefixed(event.data)))
        return (head if event._id is None else f"{head}\n").encode()

    def _unprefixed(self, value: object) -> bytes:
        text = as_text(value) if self._text else None
        return self._dumps(value) if text is None else text_bytes(text)


def _prefixed(line_start: bytes, text: bytes) -> bytes:
    # CRLF, CR and LF each end a line and nothing else does (9.2.5).
    if b"\r"[0] in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return text.replace(b"\n", line_start)


@cache
def _warn_of_dict() -> None:
    warnings.warn(
        "a dict of data, event, id, retry or comment is sent as JSON data, never taken for the fields of an event: "
        "yield Event(**d) to send an event, or rename a key if JSON is meant",
        stacklevel=4,
    )
