"""A relay of an OpenAI-compatible server: the browser streams from us, and the key stays on the server.

    curl -N http://127.0.0.1:8000/relay/v1/chat/completions -H 'Content-Type: application/json' \
      -d '{"model": "llama3.2", "stream": true, "messages": [{"role": "user", "content": "Hello"}]}'

The source is async; streamkit runs it under WSGI too. When the client leaves, the request upstream is closed at once:
no tokens are paid for that nobody reads.
"""

import json

import httpx
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseBase
from django.urls import path
from django.views.decorators.http import require_POST

from streamkit.django import EventStreamResponse, primed
from streamkit.llm import UpstreamError, relay

UPSTREAM = "http://127.0.0.1:11434/v1"  # Ollama on this machine
HEADERS = {"Authorization": "Bearer unused"}  # the key of your provider; no client sees it
TIMEOUT = httpx.Timeout(10, read=120)  # seconds; a model may think for long before it writes

client = httpx.AsyncClient(timeout=TIMEOUT, limits=httpx.Limits(max_connections=None))  # one for each answer


async def completions(request: HttpRequest) -> HttpResponseBase:
    """Stream a completion; an error of the server upstream is passed on with its status."""
    try:
        # Another type of body could come from a form on any site.
        body = json.loads(request.body) if request.content_type == "application/json" else None
    except ValueError:
        body = None
    if not isinstance(body, dict) or body.get("stream") is not True:
        return HttpResponseBadRequest('this relay streams: send "stream": true')
    upstream = client.stream("POST", f"{UPSTREAM}/chat/completions", json=body, headers=HEADERS)
    try:
        # primed() waits for the first event, because an error that comes before it can still be our status.
        return EventStreamResponse(await primed(relay(upstream, end="[DONE]"), timeout=60))
    except UpstreamError as error:
        status, media_type, content = error.answer
        return HttpResponse(content, media_type, status, headers=error.headers)
    except httpx.TransportError as error:
        return HttpResponse(f"no answer from upstream: {type(error).__name__}", status=502)


urlpatterns = [path("relay/v1/chat/completions", require_POST(completions))]
