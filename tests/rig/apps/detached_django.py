"""Detached streams in Django's views, sync and async, under both handlers: `wsgi_app` and `asgi_app`."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.urls import path

import streamkit.django
from tests.rig.apps.detached import detached, items, items_sync, user
from tests.rig.apps.django import TidyASGIHandler

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="rig", DEBUG=False)
    django.setup()
settings.ROOT_URLCONF = __name__


def _start(request: Any, kind: str, key: str) -> HttpResponse:
    user.set("ann")
    return HttpResponse(str(detached.start_sync(key, items(kind))))


def _start_sync(request: Any, kind: str, key: str) -> HttpResponse:
    user.set("ann")
    return HttpResponse(str(detached.start_sync(key, items_sync(kind))))


async def _start_async(request: Any, kind: str, key: str) -> HttpResponse:
    user.set("ann")
    return HttpResponse(str(await detached.start(key, items(kind))))


def _read(request: Any, key: str) -> Any:
    after = streamkit.django.last_event_id(request)
    status = detached.status_sync(key, after)
    if status.code != 200:
        return HttpResponse(status=status.code)
    return streamkit.django.EventStreamResponse(detached.attach(key, after), request=request)


async def _read_async(request: Any, key: str) -> Any:
    after = streamkit.django.last_event_id(request)
    status = await detached.status(key, after)
    if status.code != 200:
        return HttpResponse(status=status.code)
    return streamkit.django.EventStreamResponse(detached.attach(key, after), request=request)


def _cancel(request: Any, key: str) -> HttpResponse:
    return HttpResponse(str(detached.cancel_sync(key)))


urlpatterns = [
    path("start/<kind>/<key>", _start),
    path("sync/start/<kind>/<key>", _start_sync),
    path("async/start/<kind>/<key>", _start_async),
    path("read/<key>", _read),
    path("async/read/<key>", _read_async),
    path("cancel/<key>", _cancel),
]

asgi_app = TidyASGIHandler()
wsgi_app = WSGIHandler()
