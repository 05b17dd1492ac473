"""The scenarios through `streamkit.fastapi`, in endpoints that return the response."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, HTTPException

import streamkit.fastapi
from tests.rig.scenarios import Route, routes
from tests.rig.sidedoor import open_side_door

app = FastAPI(openapi_url=None)


def _endpoint(route: Route) -> Callable[[], Any]:
    response = getattr(streamkit.fastapi, route.scenario.response)

    def respond() -> Any:
        return response(route.content(streamkit.fastapi.primed), **route.scenario.options)

    async def respond_async() -> Any:
        return response(await route.content_awaited(streamkit.fastapi.primed), **route.scenario.options)

    return respond if route.mode == "sync" else respond_async


for _route in routes(HTTPException(403)):
    app.add_api_route(_route.path, _endpoint(_route), methods=["GET", "HEAD"], response_model=None)

open_side_door()
