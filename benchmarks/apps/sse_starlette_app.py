"""sse-starlette in Starlette; its views yield dicts of fields."""

from __future__ import annotations

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from benchmarks.apps import sources, starlette_app

SSE = sources.of(lambda text: {"data": text})


async def sse(request: Request) -> EventSourceResponse:
    """Stream events."""
    source = SSE[request.path_params["name"]](int(request.query_params.get("n", 0)))
    return EventSourceResponse(source, ping=sources.KEEPALIVE)


app = Starlette(
    routes=[
        Route("/sse/{name}", sse),
        Route("/ok", starlette_app.ok),
        Route("/plain", starlette_app.plain),
        Route("/publish", starlette_app.publish),
    ]
)
