"""How a streamkit response tells the middleware around it to leave its stream alone.

The middleware leaves something in the request's scope or environ. What an app puts between wraps the callables or
copies the scope, and either keeps the mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEY = "streamkit.middleware"


class Passage:
    """What the WSGI middleware leaves in an environ, which must not lead back to the server.

    Attributes:
        ours: Whether the response is streamkit's own, which no middleware need touch.
    """

    ours = False

    def step_aside(self) -> None:
        """Take note that it is."""
        self.ours = True


def step_aside(request: object) -> None:
    """Have a middleware that is around this request pass its response through; harmless where there is none.

    Args:
        request: The scope of an ASGI app, or the environ of a WSGI app.
    """
    if (mark := _mark_in(request)) is not None:
        mark.step_aside()


def cut_off(scope: object) -> None:
    """Have a middleware that is around this ASGI request let nothing more of its response through."""
    if (guard := _mark_in(scope)) is not None:
        guard.cut_off()


def _mark_in(request: object) -> Any:
    return request.get(KEY) if isinstance(request, Mapping) else None
