"""Read what a decoder gives of bytes in chunks, faults among it, and what it should have given."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from streamkit import DecodeError, Event, EventDecoder, EventTooLargeError, JSONSeqDecoder, NDJSONDecoder

Kind = type[EventDecoder] | type[NDJSONDecoder] | type[JSONSeqDecoder]
KINDS: tuple[Kind, ...] = (EventDecoder, NDJSONDecoder, JSONSeqDecoder)
LIMITS = (None, 4, 30, 200)
MARK = b"\xef\xbb\xbf"

_LINE_END = re.compile(rb"\r\n|\n|\r")


def cut(data: bytes) -> tuple[list[bytes], int | None]:
    """Return chunks and a limit.

    An input has the number of cuts and which limit it is in its first byte, then the size of each chunk, then the rest.
    """
    first, count = data[:1], (data[0] & 15 if data else 0)
    sizes, body = data[1 : 1 + count], data[1 + count :]
    chunks, at = [], 0
    for size in sizes:
        chunks.append(body[at : at + size])
        at += size
    return [*chunks, body[at:]], LIMITS[first[0] >> 4 & 3] if first else None


def outcome(kind: Kind, chunks: Sequence[bytes], limit: int | None) -> list[Any]:
    """Return what a decoder gives, and its faults, in order; going on behind each fault, as is documented."""
    decoder: Any = kind(max_event_size=limit)
    got: list[Any] = []
    for call in [*(lambda c=chunk: decoder.feed(c) for chunk in chunks), decoder.close]:
        may_have_more = _take(call, got)
        while may_have_more:
            may_have_more = _take(lambda: decoder.feed(b""), got)
        if limit is not None:
            held = len(decoder._rest) + len(decoder._held) + sum(map(len, decoder._lines))
            assert held <= 2 * limit + 2, f"{held} bytes are held, with a limit of {limit}"
    if kind is EventDecoder:
        got.append((decoder.retry, decoder.last_event_id))
    return got


def _take(call: Callable[[], list[Any]], got: list[Any]) -> bool:
    """Add what a call returns, or that it raised; tell whether something may stand behind that."""
    before = len(got)
    try:
        got += call()
    except EventTooLargeError:
        if EventTooLargeError not in got:
            got.append(EventTooLargeError)
        return False
    except DecodeError:
        got.append(DecodeError)
    return len(got) > before


def same_for_any_chunks(kind: Kind, data: bytes) -> tuple[bytes, list[Any]]:
    """Return the body in an input and its outcome without a limit; cut or not, under a limit or not, it is the same."""
    chunks, limit = cut(data)
    body = b"".join(chunks)
    whole = outcome(kind, [body], limit)
    assert outcome(kind, chunks, limit) == whole
    assert outcome(kind, [body[at : at + 1] for at in range(len(body))], limit) == whole
    return body, whole if limit is None else outcome(kind, [body], None)


def by_the_letter(body: bytes) -> tuple[list[Event], tuple[int | None, str | None]]:
    """Read an event stream, all at once, by the steps of WHATWG HTML, 9.2.5 and 9.2.6."""
    lines = _LINE_END.split(body.removeprefix(MARK))[:-1]
    data: list[str] = []
    found: list[Event] = []
    kind, buffer, retry, last = "", None, None, None
    for line in lines:
        name, _, value = line.decode(errors="replace").partition(":")
        value = value.removeprefix(" ")
        if not line:
            last = buffer
            text = "\n".join(data)
            found += [Event(text, event=kind or None, id=last)] if data else []
            data, kind = [], ""
        elif name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            buffer = value
        elif name == "retry" and re.fullmatch("[0-9]{1,19}", value):  # longer is no time that anybody meant
            retry = int(value)
    return found, (retry, last)
