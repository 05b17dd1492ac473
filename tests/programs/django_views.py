"""Django views, sync and async, that stream under WSGI and under ASGI.

Run: gunicorn --threads 100 django_views:wsgi, or uvicorn django_views:asgi
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest
from django.urls import path

from streamkit import Event
from streamkit.django import EventStreamResponse

if not settings.configured:
    settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="of this program", ALLOWED_HOSTS=["*"])
    django.setup()

DONE = Event("", event="done")


def words() -> Iterator[str]:
    """Give a word each tenth of a second."""
    for word in ("one", "by", "one"):
        yield word
        time.sleep(0.1)


async def words_async() -> AsyncIterator[str]:
    """Give the same, and leave the thread to others."""
    for word in ("one", "by", "one"):
        yield word
        await asyncio.sleep(0.1)


def view(request: HttpRequest) -> EventStreamResponse:
    """Stream from a sync view; the source may be either."""
    return EventStreamResponse(words_async() if "async" in request.GET else words(), request=request, end=DONE)


async def view_async(request: HttpRequest) -> EventStreamResponse:
    """Stream from an async view."""
    return EventStreamResponse(words_async(), request=request, end=DONE)


urlpatterns = [path("words", view), path("words-async", view_async)]
wsgi = get_wsgi_application()
asgi = get_asgi_application()
