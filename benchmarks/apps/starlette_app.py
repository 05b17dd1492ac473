"""Starlette's own StreamingResponse; its views write the frames, and it has no keepalive."""

from __future__ import annotations

import json

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from benchmarks.apps import burst_by_hand, sources
from tests.rig.sidedoor import open_side_door

open_side_door()

SSE = sources.of(lambda text: f"data: {text}\n\n")
LINES = sources.of(lambda text: json.dumps({"id": 17, "delta": text, "done": False}) + "\n")
LINES |= burst_by_hand.LINES


async def sse(request: Request) -> StreamingResponse:
    """Stream events."""
    source = SSE[request.path_params["name"]](int(request.query_params.get("n", 0)))
    return StreamingResponse(source, media_type="text/event-stream")


async def lines(request: Request) -> StreamingResponse:
    """Stream JSON lines."""
    source = LINES[request.path_params["name"]](int(request.query_params.get("n", 0)))
    return StreamingResponse(source, media_type="application/x-ndjson")


async def ok(_: Request) -> PlainTextResponse:
    """Answer."""
    return PlainTextResponse("ok")


def plain(_: Request) -> PlainTextResponse:
    """Answer, from a thread."""
    return PlainTextResponse("ok")


async def publish(request: Request) -> PlainTextResponse:
    """Give an event to all."""
    sources.publish(int(request.query_params["n"]))
    return PlainTextResponse("ok")


app = Starlette(
    routes=[
        Route("/sse/{name}", sse),
        Route("/lines/{name}", lines),
        Route("/ok", ok),
        Route("/plain", plain),
        Route("/publish", publish),
    ]
)
