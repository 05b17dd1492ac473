"""Values to JSON bytes: compact, UTF-8, one line, and the same with orjson or without.

orjson is only a fast path, looked for at first use. It hands over every type on which it has its own idea, and where
it refuses, or may have hidden a NaN as null, the standard library decides: nothing fails in production that passed
on a laptop. The one module that may look for a JSON library; it imports no other third-party package for its types.
`dumps` is what to call; formats that have a dict for every token call `write` themselves, and then `settled`.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from functools import cache, lru_cache
from math import isfinite
from operator import attrgetter, methodcaller
from typing import Any

from streamkit.errors import EncodeError

Dumps = Callable[[Any], str | bytes]

# Line ends to str.splitlines() and so to httpx's iter_lines(), though not to JSON, SSE or NDJSON.
_ESCAPES = ((b"\xc2\x85", rb"\u0085"), (b"\xe2\x80\xa8", rb"\u2028"), (b"\xe2\x80\xa9", rb"\u2029"))

_NEVER_NAN = frozenset((str, int, bool, type(None), date, datetime, time))

# The built-in subclasses come first, read as the standard library reads them: past any method that they override.
_CONVERSIONS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (int, int.__int__),
    (float, float.__float__),
    (dict, lambda mapping: dict(mapping.items())),
    ((list, tuple, set, frozenset), list),
    (Enum, attrgetter("value")),
    ((date, datetime, time), methodcaller("isoformat")),
)
_ADVICE = {
    **dict.fromkeys(("bytes", "bytearray", "memoryview"), "decode it to str first"),
    "Event": "yield an Event by itself, not inside another value",
    "coroutine": "await it first",
    "generator": "make it a list first",
    "timedelta": "send its total_seconds()",
}


def dumps(obj: object) -> bytes:
    """Return `obj` as one line of JSON.

    Raises:
        EncodeError: Something in `obj` is not JSON: bytes, NaN, a lone surrogate, an unknown type, a cycle.
    """
    try:
        line = write(obj, default, options)
    except TypeError:  # every refusal of orjson is one
        line = _standard(obj)
    # An int is found in bytes in a fifth of the time that a byte string takes; `b"u"[0]` is one once this is compiled.
    return settled(line, obj) if b"u"[0] in line or not line.isascii() else line


def settled(line: bytes, obj: object) -> bytes:
    """Return the line that `dumps` returns where `write` returned `line`, which has a `u` or is not ASCII."""
    if line.find(b"null") >= 0 and write is not _standard and _may_hold_nan(obj):
        line = _standard(obj)
    return line if line.isascii() else _escaped(line)


def encoder(custom: Dumps | None) -> Callable[[object], bytes]:
    """Return the default encoder, or a user's own with its result and its errors made ours."""
    if custom is None:
        return dumps

    def encode(obj: object) -> bytes:
        if isinstance(obj, bytes | bytearray | memoryview):
            raise _refused(obj)
        try:
            result = custom(obj)
            text = result if isinstance(result, str) else bytes(memoryview(result)).decode()
        except Exception as exc:
            raise EncodeError(type(obj).__name__, f"dumps failed: {exc}") from exc
        return _escaped(text_bytes(text))

    return encode


def as_text(obj: Any) -> str | None:
    """Return the plain str that `obj` is, or None for what is not text: a lazy translation counts as text."""
    if isinstance(obj, str):
        return str.__str__(obj)
    kind: Any = type(obj)
    return str(obj) if _is_lazy(kind) else None


def text_bytes(text: str) -> bytes:
    """Return `text` in UTF-8, the only encoding that an event stream may have (WHATWG HTML 9.2.5)."""
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        code = ord(text[exc.start])
        raise EncodeError("str", f"the lone surrogate U+{code:04X} cannot be sent as UTF-8") from exc


def default(obj: Any) -> Any:  # noqa: PLR0911 - a table, top to bottom
    """Return what stands for `obj` in JSON, one level deep; raise EncodeError where nothing does."""
    if (text := as_text(obj)) is not None:
        return text
    for kinds, convert in _CONVERSIONS:
        if isinstance(obj, kinds):
            return convert(obj)
    if isinstance(obj, _sent_as_str()):
        return str(obj)
    cls = type(obj)
    if hasattr(cls, "__pydantic_serializer__") and hasattr(cls, "model_dump"):
        return obj.model_dump(mode="json", by_alias=True)
    if hasattr(cls, "__attrs_attrs__"):
        return {field.name: getattr(obj, field.name) for field in cls.__attrs_attrs__}
    if hasattr(cls, "__struct_fields__") and "msgspec" in sys.modules:
        ours = (bytes, bytearray, memoryview, datetime, date, time, *_sent_as_str())  # msgspec has other forms for them
        return sys.modules["msgspec"].to_builtins(obj, builtin_types=ours, enc_hook=default)
    if is_dataclass(cls) and not hasattr(cls, "not_json"):
        return {field.name: getattr(obj, field.name) for field in fields(cls)}
    raise _refused(obj)


@cache
def _sent_as_str() -> tuple[type, ...]:
    # Imported at first need: they would double the time of `import streamkit`.
    from decimal import Decimal
    from pathlib import PurePath
    from uuid import UUID

    return Decimal, UUID, PurePath


def _refused(obj: object) -> EncodeError:
    name = type(obj).__name__
    return EncodeError(name, _ADVICE.get(name, "it has no form in JSON; send a str, dict, list or dataclass"))


def _find(obj: object, default: Callable[[Any], Any], _options: int) -> bytes:
    global write, options  # noqa: PLW0603 - what @cache would keep, and each item would pay for
    try:
        import orjson

        options = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
        write = orjson.dumps
    except ImportError:
        write = _standard
    return write(obj, default, options)


write: Callable[[object, Callable[[Any], Any], int], bytes] = _find
"""orjson's function, or what stands for it; a TypeError says that the standard library must decide."""

options = 0


def _may_hold_nan(obj: object) -> bool:
    """Tell whether a number that is not JSON is inside `obj`, which is no cycle, or a type that is not known here."""
    values: list[Any] = [obj]
    for value in values:  # grows meanwhile
        kind = type(value)
        if kind is dict or kind is list or kind is tuple:
            values += value.values() if kind is dict else value
        elif kind not in _NEVER_NAN and not (kind is float and isfinite(value)):
            return True
    return False


@cache
def _standard_encoder() -> Callable[[object], str]:
    # Made once, as json.dumps() with options builds an encoder at each call. PyPy has only the one in Python.
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        slow = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=default)
        return slow.encode
    encode = make(None, default, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda obj: "".join(encode(obj, 0))


def _standard(obj: object, *_: object) -> bytes:  # what orjson is told besides, this knows
    try:
        return text_bytes(_standard_encoder()(obj))
    except EncodeError:
        raise
    except RecursionError as exc:
        raise EncodeError(type(obj).__name__, "it is nested too deeply or contains itself") from exc
    except Exception as exc:
        raise EncodeError(type(obj).__name__, str(exc)) from exc


def _escaped(line: bytes) -> bytes:
    for raw, escape in _ESCAPES:
        line = line.replace(raw, escape)
    return line


@lru_cache(maxsize=1024)
def _is_lazy(cls: type) -> bool:
    # Strings made when they are read: Flask-Babel's, Babel's and Django's.
    return any(
        base.__name__ in ("LazyString", "_LazyString", "LazyProxy")
        or (base.__name__ == "Promise" and base.__module__ == "django.utils.functional")
        for base in cls.__mro__
    )
