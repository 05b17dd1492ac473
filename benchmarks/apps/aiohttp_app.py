"""aiohttp-sse on aiohttp's own server: `python -m benchmarks.apps.aiohttp_app PORT`."""

from __future__ import annotations

import sys
from typing import Any

import uvloop
from aiohttp import web
from aiohttp_sse import sse_response

from benchmarks.apps import sources
from tests.rig.sidedoor import open_side_door

open_side_door()

SSE = sources.of(lambda text: text)


async def sse(request: Any) -> Any:
    """Stream events."""
    async with sse_response(request, ping_interval=sources.KEEPALIVE) as response:
        async for text in SSE[request.match_info["name"]](int(request.query.get("n", 0))):
            await response.send(text)
    return response


async def ok(_: Any) -> Any:
    """Answer."""
    return web.Response(text="ok")


async def publish(request: Any) -> Any:
    """Give an event to all."""
    sources.publish(int(request.query["n"]))
    return web.Response(text="ok")


if __name__ == "__main__":
    app = web.Application()
    app.add_routes([web.get("/sse/{name}", sse), web.get("/ok", ok), web.get("/publish", publish)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None, loop=uvloop.new_event_loop())
