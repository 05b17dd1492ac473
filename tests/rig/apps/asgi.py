"""The scenarios through `streamkit.asgi`, without a framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamkit.asgi
from tests.rig.asgi import answer_lifespan
from tests.rig.scenarios import routes
from tests.rig.sidedoor import open_side_door

if TYPE_CHECKING:
    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope

ROUTES = {route.path: route for route in routes(LookupError("refused"))}

open_side_door()


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer by the scenario that the path names."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    assert scope["type"] == "http"
    route = ROUTES[scope["path"]]
    response: Any = getattr(streamkit.asgi, route.scenario.response)
    content = await route.content_awaited(streamkit.asgi.primed)
    await response(content, **route.scenario.options)(scope, receive, send)
