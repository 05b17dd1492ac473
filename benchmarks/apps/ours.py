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

FILLING, PIECE = 32 * 2**20, "x" * 16_384

channels = Channels(MemoryLog(max_bytes=2**20))


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
    """Publish a text to all."""
    await channels.publish("a", f"{count(request)}~")
    return PlainTextResponse("ok")


async def publish_to_each(request: Request) -> PlainTextResponse:
    """Publish one text to each of so many channels."""
    for number in range(int(request.query_params["channels"])):
        await channels.publish(f"c{number}", f"{count(request)}~")
    return PlainTextResponse("ok")


async def fill(_: Request) -> PlainTextResponse:
    """Publish many large texts to the client that does not read."""
    for _number in range(FILLING // len(PIECE)):
        await channels.publish("filling", PIECE)
    return PlainTextResponse(str(channels.subscribers("filling")))


async def unread(_: Request) -> EventStreamResponse:
    """Serve the client that does not read; it is to stay, for as long as this measures."""
    source = channels.subscribe("a", "filling", overflow="drop_oldest")
    return EventStreamResponse(source, policy=StreamPolicy(send_timeout=600))


async def subscribe(request: Request) -> EventStreamResponse:
    """Subscribe to one channel of many."""
    return EventStreamResponse(channels.subscribe(request.query_params["channel"]), policy=POLICY)


app = Starlette(
    routes=[
        Route("/sse/{name}", sse),
        Route("/lines/{name}", lines),
        Route("/subscribe", subscribe),
        Route("/ok", ok),
        Route("/plain", plain),
        Route("/publish", publish),
        Route("/publish_to_each", publish_to_each),
        Route("/fill", fill),
        Route("/unread", unread),
    ]
)
