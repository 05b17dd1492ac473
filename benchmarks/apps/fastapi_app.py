"""FastAPI's own event streams and JSON lines, from endpoints that yield."""

from __future__ import annotations

import fastapi.routing
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse

from benchmarks.apps import sources
from tests.rig.sidedoor import open_side_door

open_side_door()

if hasattr(fastapi.routing, "_PING_INTERVAL"):
    fastapi.routing._PING_INTERVAL = sources.KEEPALIVE  # it has no option for this

app = FastAPI()

for name, source in sources.of(lambda text: text).items():
    app.get(f"/sse/{name}", response_class=EventSourceResponse)(source)
for name, source in sources.of(lambda text: {"id": 17, "delta": text, "done": False}).items():
    app.get(f"/lines/{name}")(source)


@app.get("/ok")
async def ok() -> str:
    """Answer."""
    return "ok"


@app.get("/plain")
def plain() -> str:
    """Answer, from a thread."""
    return "ok"


@app.get("/publish")
async def publish(n: int) -> str:
    """Give an event to all."""
    sources.publish(n)
    return "ok"
