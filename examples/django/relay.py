"""A relay of an OpenAI-compatible server: the browser streams from us, and the key stays on the server.

    curl -N http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' \
      -d '{"model": "llama3.2", "stream": true, "messages": [{"role": "user", "content": "Hello"}]}'

The source is an async generator; streamkit runs it under WSGI too. When the client leaves, the generator is closed and
with it the request upstream: no tokens are paid for that nobody reads.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseBase
from django.urls import path
from django.views.decorators.http import require_POST

from streamkit import EventDecoder
from streamkit.django import EventStreamResponse, primed

UPSTREAM = "http://127.0.0.1:11434/v1"  # Ollama on this machine
HEADERS = {"Authorization": "Bearer unused"}  # the key of your provider; no client sees it
TIMEOUT = httpx.Timeout(10, read=120)  # seconds; a model may think for long before it writes


class UpstreamError(Exception):
    """The server upstream refused the request, or broke off its answer."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"upstream answered {status}")
        self.status = status
        self.body = body


async def completions(request: HttpRequest) -> HttpResponseBase:
    """Stream a completion; an error of the server upstream is passed on with its status."""
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or body.get("stream") is not True:
        return HttpResponseBadRequest('this relay streams: send "stream": true')
    try:
        # primed() waits for the first event, because an error that comes before it can still be our status.
        return EventStreamResponse(await primed(relayed(body), timeout=60))
    except UpstreamError as error:
        return HttpResponse(error.body, status=error.status, content_type="application/json")
    except httpx.TransportError as error:
        return HttpResponse(f"no answer from upstream: {type(error).__name__}", status=502)


async def relayed(body: dict[str, Any]) -> AsyncIterator[str]:
    """Yield the data of each event from upstream, to the `[DONE]` that ends a completion."""
    url = f"{UPSTREAM}/chat/completions"
    async with (
        httpx.AsyncClient(timeout=TIMEOUT) as client,
        client.stream("POST", url, json=body, headers=HEADERS) as answer,
    ):
        if answer.status_code != 200:
            raise UpstreamError(answer.status_code, await answer.aread())
        decoder = EventDecoder()
        async for chunk in answer.aiter_bytes():
            for event in decoder.feed(chunk):
                yield event.data
                if event.data == "[DONE]":
                    return
        raise UpstreamError(502, b"")  # ended without [DONE]: the client must not take it for complete


urlpatterns = [path("v1/chat/completions", require_POST(completions))]
