"""What goes to an app and what comes back: values."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Head:
    """Status and headers."""

    status: int
    headers: Pairs


Arrival = Head | bytes


@dataclass
class Request:
    """What a client would have sent, and to which app.

    Attributes:
        app: The app, of either interface.
        scope: Of an ASGI app.
        environ: Of a WSGI app.
        body: Of the request.
        loop: Where the app lives; None where no loop has been chosen for it.
        around: Entered in the thread that calls a WSGI app.
        keep_cookies: Given the headers of the response.
    """

    app: Any
    scope: dict[str, Any] | None = None
    environ: dict[str, Any] | None = None
    body: bytes = b""
    loop: asyncio.AbstractEventLoop | None = None
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    keep_cookies: Callable[[Head], object] = field(default=lambda head: None)
