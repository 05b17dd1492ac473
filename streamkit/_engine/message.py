"""The messages of an ASGI response, and the two callables of an ASGI app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from streamkit._engine.asgi_headers import raw_headers

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

START, BODY, DISCONNECT = "http.response.start", "http.response.body", "http.disconnect"


def start_of(status: int, headers: Iterable[tuple[str, str]]) -> Message:
    """Return the message that is the head of a response."""
    return {"type": START, "status": status, "headers": raw_headers(headers)}


def body_of(chunk: bytes, *, more: bool) -> Message:
    """Return a message of its body."""
    return {"type": BODY, "body": chunk, "more_body": more}
