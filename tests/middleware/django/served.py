"""A Django project that streams without streamkit, behind the middleware, for real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=[
        "django.middleware.gzip.GZipMiddleware",
        "streamkit.django.StreamingMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="tests",
)
django.setup()

from django.core.handlers.asgi import ASGIHandler  # noqa: E402 - it takes the settings that it finds
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402

from tests.rig.recorder import recorder  # noqa: E402
from tests.rig.scenarios import gated, gated_async, spinning_async, ticking, ticking_async  # noqa: E402
from tests.rig.sidedoor import open_side_door  # noqa: E402


async def idle_async() -> AsyncIterator[str]:
    """Say hello and wait for ever."""
    async with recorder.recording("idle"):
        yield "hello"
        await asyncio.Event().wait()


def _events(items: Iterator[object]) -> Iterator[str]:
    for item in items:
        yield f"id: 1\ndata: {item}\n\n"


async def _events_async(items: Any) -> AsyncIterator[str]:
    try:
        async for item in items:
            yield f"id: 1\ndata: {item}\n\n"
    finally:
        await items.aclose()


def _view(source: Callable[[], Any]) -> Callable[[HttpRequest], StreamingHttpResponse]:
    def view(_request: HttpRequest) -> StreamingHttpResponse:
        items = source()
        content: Any = _events_async(items) if hasattr(items, "__aiter__") else _events(items)
        return StreamingHttpResponse(content, content_type="text/event-stream")

    return view


urlpatterns = [
    path("sync/gated", _view(gated)),
    path("async/gated", _view(gated_async)),
    path("sync/ticking", _view(ticking)),
    path("async/ticking", _view(ticking_async)),
    path("async/spinning", _view(spinning_async)),
    path("async/idle", _view(idle_async)),
]

asgi_app = ASGIHandler()
wsgi_app = WSGIHandler()

open_side_door()
