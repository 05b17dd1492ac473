"""Whether a whole body keeps the rules by which streamkit writes, which are stricter than what clients must take.

Each rule is one that a real client breaks on when it is broken (docs/clients.md), or the standard's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from streamkit._headers import media_type as bare
from streamkit.testing._errors import MalformedError

Lines = Iterator[tuple[int, bytes]]


def assert_well_formed(body: bytes, media_type: str = "text/event-stream") -> None:
    """Raise unless a whole body is what its format asks for.

    All: UTF-8, no byte order mark, LF for line ends, and the end is the end of a line. JSON without NaN, and without
    raw U+0085, U+2028 and U+2029.
    Event streams (WHATWG HTML, 9.2.5): only the fields data, event, id and retry, and comments; no id with NUL, no
    retry but digits; a block that a blank line ends has data or an id, and a type only beside data.
    NDJSON: one value a line, an empty line being a keepalive. JSON text sequences (RFC 7464): a record is RS, a
    value, LF; a lone RS is a keepalive. Plain text has no rule but UTF-8.

    Args:
        body: The body, to its end.
        media_type: What it is, as in Content-Type.

    Raises:
        MalformedError: It is not; with the rule, the offset in bytes, and the line.
        ValueError: `media_type` is none of streamkit's formats.
    """
    kind = bare(media_type)
    if kind not in _RULES:
        raise ValueError(f"media_type must be one of {', '.join(_RULES)}, not {media_type!r}")
    _check_text(body)
    _RULES[kind](body)


def _check_text(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as exc:
        raise _at(body, exc.start, "a body is UTF-8") from None


def _at(body: bytes, offset: int, rule: str) -> MalformedError:
    start = body.rfind(b"\n", 0, offset) + 1
    return MalformedError(rule, start, body[start:].partition(b"\n")[0])


def _lines(body: bytes) -> Lines:
    """Yield the offset of each line, and the line without its end; check what is the same for all formats."""
    if body.startswith(b"\xef\xbb\xbf"):
        raise _at(body, 0, "a body begins without a byte order mark")
    if b"\r" in body:
        raise _at(body, body.index(b"\r"), "a line ends in LF alone, without CR")
    *lines, rest = body.split(b"\n")
    offset = 0
    for line in lines:
        yield offset, line
        offset += len(line) + 1
    if rest:
        raise MalformedError("a body ends with the end of a line", offset, rest)


def _check_events(body: bytes) -> None:
    begun, seen = 0, dict[bytes, bytes]()
    for offset, line in _lines(body):
        if line:
            begun = offset if not seen else begun
            name, value = _field(offset, line)
            seen[name] = value
        else:
            _check_block(body, begun if seen else offset, seen)
            seen = {}
    if seen.keys() - {b"", b"retry"}:  # these dispatch nothing and need no blank line
        raise _at(body, begun, "an event ends with a blank line: this one would be discarded")


def _field(offset: int, line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    value = value.removeprefix(b" ")
    if name not in (b"", b"data", b"event", b"id", b"retry"):
        raise MalformedError("a field is data, event, id or retry: a client ignores any other", offset, line)
    if name == b"id" and b"\0" in value:
        raise MalformedError("an id has no NUL: a client ignores one that has", offset, line)
    if name == b"retry" and not (value.isdigit() and int(value) < 2**31):
        raise MalformedError("a retry is digits, milliseconds below 2147483648", offset, line)
    return name, value


def _check_block(body: bytes, begun: int, seen: Mapping[bytes, bytes]) -> None:
    if not seen:
        raise _at(body, begun, "a blank line ends an event: here there is none")
    if b"data" in seen:
        return
    if b"event" in seen:
        raise _at(body, begun, "an event with a type has data: without, no client dispatches it")
    if b"id" not in seen:
        raise _at(body, begun, "no blank line after a comment or a retry alone: some clients dispatch an empty event")


def _check_ndjson(body: bytes) -> None:
    for offset, line in _lines(body):
        if line:
            _check_json(offset, line, line)


def _check_records(body: bytes) -> None:
    for offset, line in _lines(body + b"\n" if body.endswith(b"\x1e") else body):
        before, *values = line.split(b"\x1e")
        if before or not values:
            raise MalformedError("a record begins with RS", offset, line)
        if any(values[:-1]):
            raise MalformedError("a record ends with LF: its value may be cut short", offset, line)
        if values[-1] or not (body.endswith(b"\x1e") and offset + len(line) == len(body)):
            _check_json(offset, line, values[-1])


def _check_json(offset: int, line: bytes, text: bytes) -> None:
    for char in ("\x85", "\u2028", "\u2029"):
        if char.encode() in text:
            raise MalformedError(f"JSON escapes U+{ord(char):04X}: some clients take it for a line end", offset, line)
    try:
        json.loads(text, parse_constant=_refuse)
    except ValueError as exc:
        raise MalformedError(f"a line is one JSON value ({exc})", offset, line) from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_RULES: dict[str, Callable[[bytes], None]] = {
    "text/event-stream": _check_events,
    "application/x-ndjson": _check_ndjson,
    "application/jsonl": _check_ndjson,
    "application/json-seq": _check_records,
    "text/plain": lambda body: None,
}
