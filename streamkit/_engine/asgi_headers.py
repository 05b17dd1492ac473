"""Headers as ASGI carries them, in bytes and with names in lower case, and as the rest of streamkit does, in text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from streamkit._format import Format
from streamkit._headers import DEFAULTS, foreign_headers

_DEFAULTS = [(name.lower(), value) for name, value in DEFAULTS]


def header(scope: Mapping[str, Any], name: bytes) -> bytes | None:
    """Return the value of a request header, several joined by a comma."""
    values = [value for key, value in scope.get("headers", ()) if key == name]
    return b", ".join(values) if values else None


def accepted(scope: Mapping[str, Any]) -> str | None:
    """Return the Accept header of a request."""
    raw = header(scope, b"accept")
    return None if raw is None else raw.decode("latin-1")


def raw_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return headers as ASGI carries them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def raw_foreign_headers(app: Iterable[tuple[bytes, bytes]], format: Format) -> list[tuple[bytes, bytes]]:
    """Return the headers of a stream that an app has made by itself; its own stay as they are spelled."""
    headers = foreign_headers(text_headers(app), format, _DEFAULTS)
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def text_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return headers as text."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
