"""A plain WSGI app and a plain ASGI app that streamed before they knew streamkit, each with a line of middleware."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from streamkit import asgi, wsgi


def wsgi_ticks(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Stream without streamkit."""
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    number = 0
    while True:
        yield b"data: %d\n\n" % number
        number += 1
        time.sleep(0.05)


async def asgi_ticks(scope: Any, receive: Any, send: Any) -> None:
    """Stream without streamkit."""
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    number = 0
    while True:
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
        number += 1
        await asyncio.sleep(0.05)


wsgi_app = wsgi.StreamingMiddleware(wsgi_ticks)
asgi_app = asgi.StreamingMiddleware(asgi_ticks)
