"""Streams without end for a client that does not read: by streamkit alone, in Starlette, and in the middleware."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from streamkit import StreamPolicy
from streamkit import asgi as plain
from streamkit import starlette as in_starlette
from tests.rig.asgi import answer_lifespan
from tests.rig.sidedoor import open_side_door

ENDED = "a stream has ended as one of a "
POLICY = StreamPolicy(send_timeout=0.3)


async def flood() -> AsyncIterator[str]:
    """Yield for ever."""
    while True:
        yield "x" * 10_000


def say(reason: str, _: object) -> None:
    """Write down why a stream has ended."""
    sys.stderr.write(f"{ENDED}{reason}\n")


async def alone(scope: Any, receive: Any, send: Any) -> None:
    """Serve the stream without a framework."""
    await plain.EventStreamResponse(flood(), policy=POLICY, on_close=say)(scope, receive, send)


async def _ours(_: Request) -> in_starlette.EventStreamResponse:
    return in_starlette.EventStreamResponse(flood(), policy=POLICY, on_close=say)


async def _foreign(_: Request) -> StreamingResponse:
    return StreamingResponse(flood(), media_type="text/event-stream")


ours = Starlette(routes=[Route("/{_:path}", _ours)])
foreign = Starlette(routes=[Route("/{_:path}", _foreign)])
APPS: dict[str, Any] = {
    "/alone": alone,
    "/starlette": ours,
    "/inside": plain.StreamingMiddleware(ours),
    "/foreign": plain.StreamingMiddleware(foreign, policy=POLICY, on_close=say),
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve by path."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
    else:
        await APPS[scope["path"]](scope, receive, send)


open_side_door()
