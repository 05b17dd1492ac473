"""The completions in Django: a sync view under WSGI, `wsgi_app`, and an async one under ASGI, `asgi_app`."""

from __future__ import annotations

import json
import os

import django
import openai
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import path

from streamkit.django import EventStreamResponse, primed
from streamkit.llm import chat_completions
from tests.llm.apps.answers import POLICY, BusyError, async_source, options, sync_source
from tests.rig.sidedoor import open_side_door

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="tests")
django.setup()
open_side_door()


def completions(request: HttpRequest) -> HttpResponseBase:
    """Answer by the model."""
    body = json.loads(request.body)
    try:
        source = primed(chat_completions.stream(sync_source(body), **options(body)))
    except (BusyError, openai.APIStatusError) as error:
        return refusal(error)
    return EventStreamResponse(source, request=request, policy=POLICY)


async def async_completions(request: HttpRequest) -> HttpResponseBase:
    """Answer by the model."""
    body = json.loads(request.body)
    try:
        source = await primed(chat_completions.stream(await async_source(body), **options(body)))
    except (BusyError, openai.APIStatusError) as error:
        return refusal(error)
    return EventStreamResponse(source, request=request, policy=POLICY)


def refusal(error: Exception) -> JsonResponse:
    """Answer with a status."""
    if isinstance(error, openai.APIStatusError):
        return JsonResponse({"error": error.body}, status=error.status_code)
    return JsonResponse({"error": {"message": "come back later"}}, status=429)


urlpatterns = [
    path("v1/chat/completions", async_completions if os.environ.get("VIEWS") == "async" else completions),
]
wsgi_app = WSGIHandler()
asgi_app = ASGIHandler()
