"""A streamkit response in Django, under its ASGI handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.rig.apps import foreign  # noqa: F401 - configures Django

# isort: split
from django.core.handlers.asgi import ASGIRequest
from django.urls import path

from streamkit.django import EventStreamResponse
from tests.rig.apps.django import TidyASGIHandler

_sources: list[Callable[[], Any]] = []


async def _with_request(request: Any) -> Any:
    return EventStreamResponse(_sources[-1](), request=request)


async def _without_request(_request: Any) -> Any:
    return EventStreamResponse(_sources[-1]())


class _With:
    urlpatterns = (path("", _with_request),)


class _Without:
    urlpatterns = (path("", _without_request),)


def handler_of(source: Callable[[], Any], *, given: bool) -> Any:
    """Return Django's application with one view that streams; `given` its request, or not."""
    _sources.append(source)

    class Request(ASGIRequest):
        urlconf: Any = (_With if given else _Without).urlpatterns

    class Handler(TidyASGIHandler):
        request_class = Request

    return Handler()
