"""A prompt that is POSTed, read in the page by `fetch` and stream.js.

In a project with CsrfViewMiddleware the page sends its token too, in the header X-CSRFToken.
"""

import json
import time
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponseBadRequest, HttpResponseBase
from django.urls import path
from django.views.generic import TemplateView

from answers import words
from streamkit import Event, EventStream
from streamkit.django import EventStreamResponse

PACE = 0.05  # seconds a word


class Prompt(TemplateView):
    """The page that sends a prompt, and its answer."""

    template_name = "prompt.html"

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Stream the answer to the JSON object `{"prompt": text}`; 400 for anything else."""
        try:
            # Another type of body could come from a form on any site.
            sent = json.loads(request.body) if request.content_type == "application/json" else None
        except ValueError:
            sent = None
        match sent:
            case {"prompt": str(text)}:
                return EventStreamResponse(typed(text), format=EventStream(json=True), end=Event("", event="done"))
        return HttpResponseBadRequest('send {"prompt": "…"}')


def typed(text: str) -> Iterator[str]:
    """Yield the words of the answer."""
    for word in words(text):
        yield word
        time.sleep(PACE)


urlpatterns = [path("prompt", Prompt.as_view())]
