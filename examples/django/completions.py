"""The answers by OpenAI's API, for every client that takes a `base_url`.

from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none")
ask = {"role": "user", "content": "What is a keepalive?"}
for chunk in client.chat.completions.create(model="questions", messages=[ask], stream=True):
    print(chunk.choices[0].delta.content or "", end="", flush=True)
"""

import json
import time
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from answers import words
from streamkit.django import EventStreamResponse
from streamkit.llm import chat_completions

PACE = 0.05  # seconds a word
WANTED = "send a model, messages and stream=True: this server streams"


def completions(request: HttpRequest) -> HttpResponseBase:
    """Answer the last message."""
    try:
        # Another type of body could come from a form on any site.
        sent: Any = json.loads(request.body) if request.content_type == "application/json" else None
    except ValueError:
        sent = None
    match sent:
        case {"model": str(model), "messages": [*_, {"content": str() | list() as content}], "stream": True}:
            wants_usage = (sent.get("stream_options") or {}).get("include_usage") is True
            source = chat_completions.stream(tokens(text_of(content)), model=model, include_usage=wants_usage)
            return EventStreamResponse(source, request=request)
    return JsonResponse({"error": {"message": WANTED, "type": "invalid_request_error"}}, status=400)


def text_of(content: str | list[Any]) -> str:
    """Return the text of a message, which clients send as a string or in parts."""
    return content if isinstance(content, str) else " ".join(part["text"] for part in content if "text" in part)


def tokens(text: str) -> Iterator[str | dict[str, Any]]:
    """Yield the words of the answer, and what it has cost."""
    answer = words(text)
    for word in answer:
        yield word
        time.sleep(PACE)
    asked, said = len(text.split()), len(answer)
    yield {"usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}}


# Exempt because clients of an API send no token of a form; do not let it in by a cookie alone.
urlpatterns = [path("v1/chat/completions", csrf_exempt(require_POST(completions)))]
