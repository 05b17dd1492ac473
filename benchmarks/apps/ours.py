"""streamkit in Starlette, as docs/starlette has it: responses, keepalive and disconnects as they are by default."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from benchmarks.apps import sources
from streamkit import StreamPolicy
from streamkit.channels import Channels, MemoryLog
from streamkit.starlette import EventStreamResponse, NDJSONResponse
from tests.rig.sidedoor import open_side_door

open_side_door()

SSE = sources.of(lambda text: text)
LINES = sources.of(lambda text: {"id": 17, "delta": text, "done": False})
POLICY = StreamPolicy(keepalive=sources.KEEPALIVE)

channels = Channels(MemoryLog())


def count(request: Request) -> int:
    """Return what the request asks for."""
    return int(request.query_params.get("n", 0))


async def sse(request: Request) -> EventStreamResponse:
    """Stream events."""
    name = request.path_params["name"]
    source: Any = channels.subscribe("a") if name == "fan_out" else SSE[name](count(request))
    return EventStreamResponse(source, policy=POLICY)


async def lines(request: Request) -> NDJSONResponse:
    """Stream JSON lines."""
    return NDJSONResponse(LINES[request.path_params["name"]](count(request)))


async def ok(_: Request) -> PlainTextResponse:
    """Answer."""
    return PlainTextResponse("ok")


def plain(_: Request) -> PlainTextResponse:
    """Answer, from a thread."""
    return PlainTextResponse("ok")


async def publish(request: Request) -> PlainTextResponse:
    """Publish a text to all; or, with `channel`, to one channel."""
    await channels.publish(request.query_params.get("channel", "a"), f"{count(request)}~")
    return PlainTextResponse("ok")


async def subscribe(request: Request) -> EventStreamResponse:
    """Subscribe to one channel of many; `after` replays its log."""
    query = request.query_params
    return EventStreamResponse(channels.subscribe(query["channel"], after=query.get("after")), policy=POLICY)


app = Starlette(
    routes=[
        Route("/sse/{name}", sse),
        Route("/lines/{name}", lines),
        Route("/subscribe", subscribe),
        Route("/ok", ok),
        Route("/plain", plain),
        Route("/publish", publish),
    ]
)
