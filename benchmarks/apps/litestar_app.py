"""Litestar's ServerSentEvent and Stream."""

from __future__ import annotations

from litestar import Litestar, get
from litestar.response import ServerSentEvent, Stream
from litestar.serialization import encode_json

from benchmarks.apps import sources
from tests.rig.sidedoor import open_side_door

open_side_door()

SSE = sources.of(lambda text: text)
LINES = sources.of(lambda text: encode_json({"id": 17, "delta": text, "done": False}) + b"\n")


@get("/sse/{name:str}")
async def sse(name: str, n: int = 0) -> ServerSentEvent:
    """Stream events."""
    return ServerSentEvent(SSE[name](n))


@get("/lines/{name:str}")
async def lines(name: str, n: int = 0) -> Stream:
    """Stream JSON lines."""
    return Stream(LINES[name](n), media_type="application/x-ndjson")


@get("/ok")
async def ok() -> str:
    """Answer."""
    return "ok"


@get("/plain", sync_to_thread=True)
def plain() -> str:
    """Answer, from a thread."""
    return "ok"


@get("/publish")
async def publish(n: int) -> str:
    """Give an event to all."""
    sources.publish(n)
    return "ok"


app = Litestar(
    [sse, lines, ok, plain, publish], signature_namespace={"ServerSentEvent": ServerSentEvent, "Stream": Stream}
)
