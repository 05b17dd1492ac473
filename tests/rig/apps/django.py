"""The scenarios through `streamkit.django`, under both of Django's handlers: `asgi_app` and `wsgi_app`.

Sync sources are returned by sync views, async ones by async views. The request classes name the URL configuration, so
that the settings may as well be those of another test of the same process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.urls import path

import streamkit.django
from tests.rig.scenarios import Route, routes
from tests.rig.sidedoor import open_side_door

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="rig", DEBUG=False)
    django.setup()


def _view(route: Route) -> Callable[[Any], Any]:
    response = getattr(streamkit.django, route.scenario.response)

    def respond(request: Any) -> Any:
        return response(route.content(streamkit.django.primed), request=request, **route.scenario.options)

    async def respond_async(request: Any) -> Any:
        content = await route.content_awaited(streamkit.django.primed)
        return response(content, request=request, **route.scenario.options)

    return respond if route.mode == "sync" else respond_async


urlpatterns = [path(route.path[1:], _view(route)) for route in routes(PermissionDenied())]


class _ASGIRequest(ASGIRequest):
    urlconf = __name__


class _WSGIRequest(WSGIRequest):
    urlconf = __name__


class TidyASGIHandler(ASGIHandler):
    """Django's handler for strict tests.

    Django sends header names as they were set, where ASGI wants them in lower case, and leaves the file with the
    request's body to the garbage collector when a response fails.
    """

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        try:
            await super().handle(scope, receive, send)
        finally:
            if "body file" in scope:
                scope["body file"].close()

    def create_request(self, scope: Any, body_file: Any) -> Any:
        """Make the request object."""
        scope["body file"] = body_file
        return super().create_request(scope, body_file)

    async def send_response(self, response: Any, send: Any) -> None:
        """Send a response."""

        async def send_lower(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [(name.lower(), value) for name, value in message["headers"]]
            await send(message)

        await super().send_response(response, send_lower)


class _ASGIHandler(TidyASGIHandler):
    request_class = _ASGIRequest


class _WSGIHandler(WSGIHandler):
    request_class = _WSGIRequest


asgi_app = _ASGIHandler()
wsgi_app = _WSGIHandler()

open_side_door()
