"""An answer that outlives its readers: close the laptop in the middle, open the address elsewhere, and see the rest.

The views are sync, which serves runserver and ASGI alike. In a project with CsrfViewMiddleware the page sends its token
too, in the header X-CSRFToken.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseBase
from django.urls import path
from django.views.generic import TemplateView, View

from answers import words
from streamkit import Event, EventStream, StreamPolicy
from streamkit.channels import Detached, SQLiteLog
from streamkit.django import EventStreamResponse, last_event_id

PACE = 0.05  # seconds a word

log = SQLiteLog(Path(__file__).with_name("detached.db"))
# log = RedisLog("redis://127.0.0.1:6379")  # for several machines: from streamkit.channels.redis import RedisLog
streams = Detached(log, lease=5)  # seconds after which an answer whose server was killed is taken for lost


class Answer(View):
    """One answer, by the key that the page has made for it and that stands in the page's address."""

    def put(self, request: HttpRequest, key: UUID) -> HttpResponseBase:
        """Start the answer to `{"prompt": text}`; sent again, it starts nothing."""
        try:
            # Another type of body could come from a form on any site.
            sent = json.loads(request.body) if request.content_type == "application/json" else None
        except ValueError:
            sent = None
        match sent:
            case {"prompt": str(text)}:
                streams.start_sync(str(key), typed(text))
                return HttpResponse(status=202)
        return HttpResponseBadRequest('send {"prompt": "…"}')

    def get(self, request: HttpRequest, key: UUID) -> HttpResponseBase:
        """Stream what the browser has not seen; 204 if that is nothing, not even the end; 404 if there is no answer."""
        last_id = last_event_id(request)
        status = streams.status_sync(str(key), after=last_id)
        if status.code != 200:
            return HttpResponse(status=status.code)
        events = streams.attach(str(key), after=last_id)
        # JSON, because a word may be a line break; `retry`, the milliseconds until a dropped connection is made again.
        return EventStreamResponse(events, format=EventStream(json=True), policy=StreamPolicy(retry=1000))

    def delete(self, request: HttpRequest, key: UUID) -> HttpResponse:
        """End the answer for all its readers."""
        streams.cancel_sync(str(key))
        return HttpResponse(status=204)


def typed(prompt: str) -> Iterator[Event | str]:
    """Yield the question, for browsers that did not ask it, and the words of the answer."""
    yield Event(prompt, event="question")
    for word in words(prompt):
        yield word
        time.sleep(PACE)


urlpatterns = [
    path("detached", TemplateView.as_view(template_name="detached.html")),
    path("detached/<uuid:key>", Answer.as_view()),
]
