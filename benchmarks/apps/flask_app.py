"""Flask's own streaming (`/sse`), and streamkit in it without keepalive (`/ours`) and with (`/batched`)."""

from __future__ import annotations

from flask import Flask, Response, request

from benchmarks.apps import sources
from streamkit import StreamPolicy
from streamkit.flask import EventStreamResponse
from tests.rig.sidedoor import open_side_door

open_side_door()

SSE = sources.of(lambda text: f"data: {text}\n\n")
OURS = sources.of(lambda text: text)
SILENT = StreamPolicy(keepalive=None)

app = Flask(__name__)


def _count() -> int:
    return int(request.args.get("n", 0))


@app.get("/sse/<name>")
def sse(name: str) -> Response:
    """Stream events."""
    return Response(SSE[name](_count()), mimetype="text/event-stream")


@app.get("/ours/<name>")
def ours(name: str) -> Response:
    """Stream events by streamkit, in the thread that iterates."""
    return EventStreamResponse(OURS[name](_count()), policy=SILENT)


@app.get("/batched/<name>")
def batched(name: str) -> Response:
    """Stream events by streamkit from a thread of its own, under a server with threads."""
    return EventStreamResponse(OURS[name](_count()))
