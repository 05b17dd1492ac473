"""The streams for real clients, through `streamkit.django` under ASGI."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

import streamkit.django
from tests.rig.apps.clients_shared import PAGE, make, page_script, play_async
from tests.rig.sidedoor import open_side_door

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="rig", DEBUG=False)
django.setup()


def page(_: HttpRequest) -> HttpResponse:
    """Answer with the page of the clients."""
    return HttpResponse(PAGE)


def script(_: HttpRequest) -> HttpResponse:
    """Answer with its script."""
    return HttpResponse(page_script(), content_type="text/javascript")


def close(_: HttpRequest, key: str) -> JsonResponse:
    """End the streams of a key."""
    return JsonResponse({"closed": streamkit.close_streams(key)})


async def stream(request: HttpRequest, shape: str, trap: str, key: str, _: str = "") -> Any:
    """Stream."""
    made = make(shape, trap, key, streamkit.django.last_event_id(request))
    return getattr(streamkit.django, made.response)(
        made.content(play_async(made.steps)), request=request, **made.options
    )


urlpatterns = [
    path("page", page),
    path("page.js", script),
    path("close/<str:key>", close),
    path("<str:shape>/<str:trap>/<str:key>", stream),
    path("<str:shape>/<str:trap>/<str:key>/<path:_>", stream),
]

app = get_asgi_application()

open_side_door()
