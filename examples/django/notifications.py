"""Notifications that are live in every browser, none of them lost or shown twice, also when the server restarts.

In a project with CsrfViewMiddleware the page sends its token too, in the header X-CSRFToken.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.urls import path
from django.views.generic import TemplateView

from streamkit import StreamPolicy
from streamkit.channels import Channels, SQLiteLog
from streamkit.django import EventStreamResponse, last_event_id

log = SQLiteLog(Path(__file__).with_name("notifications.db"))
# log = RedisLog("redis://127.0.0.1:6379")  # for several machines: from streamkit.channels.redis import RedisLog
channels = Channels(log)


class Notifications(TemplateView):
    """The page, and what its form publishes."""

    template_name = "notifications.html"

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        """Render the position of now, so that nothing is lost until the page's stream is open."""
        return super().get_context_data(position=channels.position_sync("notifications"), **context)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Publish `{"text": …, "key": …}`; sent again with the same key, as after a lost reply, it is stored once."""
        try:
            # Another type of body could come from a form on any site.
            sent = json.loads(request.body) if request.content_type == "application/json" else None
        except ValueError:
            sent = None
        match sent:
            case {"text": str(text), "key": str(key)} if 0 < len(text) <= 200 and 0 < len(key) <= 200:
                notification = {"text": text, "time": datetime.now(UTC)}
                channels.publish_sync("notifications", notification, key=key)
                return HttpResponse(status=204)
        return HttpResponseBadRequest('send {"text": "…", "key": "…"}')


def stream(request: HttpRequest) -> EventStreamResponse:
    """Stream what was published after the position, or after the last event that the browser has seen."""
    events = channels.subscribe("notifications", after=last_event_id(request))
    return EventStreamResponse(events, request=request, policy=StreamPolicy(retry=1000))


urlpatterns = [path("notifications", Notifications.as_view()), path("notifications/stream", stream)]
