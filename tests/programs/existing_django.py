"""A Django project that streamed before it knew streamkit, and one line in MIDDLEWARE."""

import time
from collections.abc import Iterator

import django
from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path

MIDDLEWARE = ["streamkit.django.StreamingMiddleware"]

if not settings.configured:
    settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="of this program", ALLOWED_HOSTS=["*"], MIDDLEWARE=MIDDLEWARE)
    django.setup()


def ticks() -> Iterator[str]:
    """Give frames that were written by hand."""
    number = 0
    while True:
        yield f"data: {number}\n\n"
        number += 1
        time.sleep(0.05)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Stream without streamkit."""
    return StreamingHttpResponse(ticks(), content_type="text/event-stream")


urlpatterns = [path("ticks", stream)]
