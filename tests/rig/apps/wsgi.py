"""The scenarios through `streamkit.wsgi`, without a framework."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import streamkit.wsgi
from tests.rig.scenarios import routes
from tests.rig.sidedoor import open_side_door

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

ROUTES = {route.path: route for route in routes(LookupError("refused"))}

open_side_door()


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer by the scenario that the path names."""
    route = ROUTES[environ["PATH_INFO"]]
    response: Any = getattr(streamkit.wsgi, route.scenario.response)
    content = route.content(streamkit.wsgi.primed)
    body: Iterable[bytes] = response(content, **route.scenario.options)(environ, start_response)
    return body
