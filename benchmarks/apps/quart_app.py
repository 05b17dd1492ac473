"""Quart's Response over a generator of bytes, with the timeout off, as its page on server-sent events has it."""

from __future__ import annotations

import json

from quart import Quart, Response, request

from benchmarks.apps import sources
from tests.rig.sidedoor import open_side_door

open_side_door()

SSE = sources.of(lambda text: f"data: {text}\n\n".encode())
LINES = sources.of(lambda text: json.dumps({"id": 17, "delta": text, "done": False}).encode() + b"\n")

app = Quart(__name__)


@app.get("/sse/<name>")
async def sse(name: str) -> Response:
    """Stream events."""
    response = Response(SSE[name](int(request.args.get("n", 0))), mimetype="text/event-stream")
    response.timeout = None
    return response


@app.get("/lines/<name>")
async def lines(name: str) -> Response:
    """Stream JSON lines."""
    response = Response(LINES[name](int(request.args.get("n", 0))), mimetype="application/x-ndjson")
    response.timeout = None
    return response


@app.get("/ok")
async def ok() -> str:
    """Answer."""
    return "ok"


@app.get("/plain")
def plain() -> str:
    """Answer, from a thread."""
    return "ok"


@app.get("/publish")
async def publish() -> str:
    """Give an event to all."""
    sources.publish(int(request.args["n"]))
    return "ok"
