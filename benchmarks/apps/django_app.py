"""Django's StreamingHttpResponse, and streamkit in Django: `app` under ASGI, `wsgi` under WSGI."""

from __future__ import annotations

import json
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from benchmarks.apps import sources
from streamkit import StreamPolicy
from streamkit.django import EventStreamResponse
from tests.rig.sidedoor import open_side_door

open_side_door()

SSE = sources.of(lambda text: f"data: {text}\n\n")
LINES = sources.of(lambda text: json.dumps({"id": 17, "delta": text, "done": False}) + "\n")
OURS = sources.of(lambda text: text)
SILENT = StreamPolicy(keepalive=None)


def _count(request: HttpRequest) -> int:
    return int(request.GET.get("n", 0))


async def sse(request: HttpRequest, name: str) -> StreamingHttpResponse:
    """Stream events."""
    return StreamingHttpResponse(SSE[name](_count(request)), content_type="text/event-stream")


async def lines(request: HttpRequest, name: str) -> StreamingHttpResponse:
    """Stream JSON lines."""
    return StreamingHttpResponse(LINES[name](_count(request)), content_type="application/x-ndjson")


def sse_sync(request: HttpRequest, name: str) -> StreamingHttpResponse:
    """Stream events from a sync view."""
    return StreamingHttpResponse(SSE[name](_count(request)), content_type="text/event-stream")


def ours_sync(request: HttpRequest, name: str) -> StreamingHttpResponse:
    """Stream events by streamkit from a sync view, without keepalive."""
    return EventStreamResponse(OURS[name](_count(request)), request=request, policy=SILENT)


async def ok(_: HttpRequest) -> HttpResponse:
    """Answer."""
    return HttpResponse("ok")


def plain(_: HttpRequest) -> HttpResponse:
    """Answer, from a thread."""
    return HttpResponse("ok")


async def publish(request: HttpRequest) -> HttpResponse:
    """Give an event to all."""
    sources.publish(_count(request))
    return HttpResponse("ok")


urlpatterns: Any = [
    path("sse/<str:name>", sse),
    path("lines/<str:name>", lines),
    path("sync/<str:name>", sse_sync),
    path("ours/<str:name>", ours_sync),
    path("ok", ok),
    path("plain", plain),
    path("publish", publish),
]
settings.configure(ALLOWED_HOSTS=["*"], MIDDLEWARE=[], ROOT_URLCONF=tuple(urlpatterns), SECRET_KEY="unused")
django.setup()

from django.core.handlers.asgi import ASGIHandler  # noqa: E402 - a handler reads the settings
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402

app, wsgi = ASGIHandler(), WSGIHandler()
