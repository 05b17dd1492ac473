"""streamkit in Starlette: responses, keepalive and disconnects as they are by default."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from benchmarks.apps.ours import LINES, POLICY, SSE, channels
from streamkit.starlette import EventStreamResponse, NDJSONResponse


def _count(request: Request) -> int:
    return int(request.query_params.get("n", 0))


async def sse(request: Request) -> EventStreamResponse:
    """Stream events."""
    name = request.path_params["name"]
    source = channels.subscribe("a") if name == "fan_out" else SSE[name](_count(request))
    return EventStreamResponse(source, policy=POLICY)


async def lines(request: Request) -> NDJSONResponse:
    """Stream JSON lines."""
    return NDJSONResponse(LINES[request.path_params["name"]](_count(request)))


async def ok(_: Request) -> PlainTextResponse:
    """Answer."""
    return PlainTextResponse("ok")


def plain(_: Request) -> PlainTextResponse:
    """Answer, from a thread."""
    return PlainTextResponse("ok")


async def publish(request: Request) -> PlainTextResponse:
    """Publish a text to all."""
    await channels.publish("a", f"{_count(request)}~")
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
