"""An app inside the middleware that reads a request's body and sends it back."""

from __future__ import annotations

from typing import Any

from streamkit.asgi import StreamingMiddleware
from tests.rig.asgi import answer_lifespan
from tests.rig.sidedoor import open_side_door


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer any request."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


app = StreamingMiddleware(echo)

open_side_door()
