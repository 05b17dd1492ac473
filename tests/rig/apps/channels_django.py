"""Channels in Django, under both of its handlers: `asgi_app` with async views, `wsgi_app` with sync ones."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpResponse, JsonResponse
from django.urls import path

from streamkit.django import EventStreamResponse, last_event_id
from tests.rig.apps.channels_shared import POLICY, channels, item, state, subscription

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="rig", DEBUG=False)
    django.setup()


def _events(request: Any) -> Any:
    return EventStreamResponse(subscription(request.GET, last_event_id(request)), request=request, policy=POLICY)


def _state(request: Any) -> Any:
    return JsonResponse(state())


def _publish(request: Any) -> Any:
    return HttpResponse(channels.publish_sync("a", item(request.GET)))


def _position(request: Any) -> Any:
    return HttpResponse(channels.position_sync("a"))


async def _events_async(request: Any) -> Any:
    return _events(request)


async def _state_async(request: Any) -> Any:
    return _state(request)


async def _publish_async(request: Any) -> Any:
    return HttpResponse(await channels.publish("a", item(request.GET)))


async def _position_async(request: Any) -> Any:
    return HttpResponse(await channels.position("a"))


def _urls(*views: Any) -> Any:
    """Return what Django takes for a URL configuration."""
    return tuple(path(name, view) for name, view in zip(("events", "state", "publish", "position"), views, strict=True))


class _ASGIRequest(ASGIRequest):
    urlconf = _urls(_events_async, _state_async, _publish_async, _position_async)


class _WSGIRequest(WSGIRequest):
    urlconf = _urls(_events, _state, _publish, _position)


class _ASGIHandler(ASGIHandler):
    request_class = _ASGIRequest


class _WSGIHandler(WSGIHandler):
    request_class = _WSGIRequest


asgi_app = _ASGIHandler()
wsgi_app = _WSGIHandler()
