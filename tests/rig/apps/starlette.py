"""The scenarios through `streamkit.starlette`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route as StarletteRoute

import streamkit.starlette
from tests.rig.scenarios import Route, routes
from tests.rig.sidedoor import open_side_door


def _endpoint(route: Route) -> Callable[[Request], Any]:
    response = getattr(streamkit.starlette, route.scenario.response)

    def respond(request: Request) -> Any:
        return response(route.content(streamkit.starlette.primed), **route.scenario.options)

    async def respond_async(request: Request) -> Any:
        return response(await route.content_awaited(streamkit.starlette.primed), **route.scenario.options)

    return respond if route.mode == "sync" else respond_async


app = Starlette(routes=[StarletteRoute(route.path, _endpoint(route)) for route in routes(HTTPException(403))])

open_side_door()
