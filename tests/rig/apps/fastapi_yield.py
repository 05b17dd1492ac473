"""The scenarios through `streamkit.fastapi`, in endpoints that yield.

The endpoint is the source itself. FastAPI passes no keywords to a `response_class`, so that each route has a class of
its own with the options as attributes.
"""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Response

import streamkit.fastapi
from tests.rig.scenarios import Route, routes
from tests.rig.sidedoor import open_side_door

app = FastAPI(openapi_url=None)


def _headers(route: Route) -> Any:
    def set_headers(response: Response) -> None:
        response.headers.update(route.scenario.options.get("headers", {}))

    return Depends(set_headers)


def _response_class(route: Route) -> Any:
    base = getattr(streamkit.fastapi, route.scenario.response)
    # A function as class attribute would become a method; headers are no option, FastAPI's way to them is a dependency.
    options = [(key, value) for key, value in route.scenario.options.items() if key != "headers"]
    return type("Response", (base,), {key: staticmethod(value) if callable(value) else value for key, value in options})


for _route in routes(HTTPException(403)):
    app.add_api_route(
        _route.path,
        _route.source,
        methods=["GET", "HEAD"],
        response_class=_response_class(_route),
        response_model=None,
        dependencies=[_headers(_route)],
    )

open_side_door()
