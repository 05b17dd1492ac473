"""A stream in Django, under its ASGI handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.rig.apps import foreign  # noqa: F401 - configures Django

# isort: split
from django.core.handlers.asgi import ASGIRequest
from django.http import StreamingHttpResponse
from django.urls import path

from streamkit.django import EventStreamResponse
from tests.rig.apps.django import TidyASGIHandler

_sources: list[Callable[[], Any]] = []


async def _with_request(request: Any) -> Any:
    return EventStreamResponse(_sources[-1](), request=request)


async def _without_request(_request: Any) -> Any:
    return EventStreamResponse(_sources[-1]())


async def _plain(_request: Any) -> Any:
    return StreamingHttpResponse((str(item) async for item in _sources[-1]()), content_type="text/event-stream")


def handler_of(source: Callable[[], Any], *, given: bool) -> Any:
    """Return Django's application with one view that streams; `given` its request, or not."""
    return _handler(source, _with_request if given else _without_request)


def plain_handler_of(source: Callable[[], Any]) -> Any:
    """Return Django's application with one view that streams by Django's own means."""
    return _handler(source, _plain)


def _handler(source: Callable[[], Any], view: Any) -> Any:
    _sources.append(source)

    class Request(ASGIRequest):
        urlconf: Any = (path("", view),)

    class Handler(TidyASGIHandler):
        request_class = Request

    return Handler()
