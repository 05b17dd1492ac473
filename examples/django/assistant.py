"""A chat for the AI SDK's useChat: answers go on without the page, and are found again after a reload.

The page is in the folder `assistant`, to be built once: `npm install && npm run build`. The views are sync, which
serves runserver and ASGI alike. In a project with CsrfViewMiddleware the page sends its token too, as X-CSRFToken.
"""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseBase
from django.urls import path
from django.views.generic import TemplateView, View

from answers import words
from streamkit.channels import Detached, SQLiteLog
from streamkit.django import EventStreamResponse
from streamkit.llm import ui_messages

PACE = 0.05  # seconds a word
UUID_FORM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # as crypto.randomUUID() makes them

log = SQLiteLog(Path(__file__).with_name("assistant.db"))  # what the workers of one machine share
chats = ui_messages.Chats(Detached(log, lease=5))  # seconds after which an answer whose server was killed is lost


class Chat(View):
    """Where the last message of a chat is answered."""

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Answer it; where the client leaves, the answer goes on."""
        try:
            # Another type of body could come from a form on any site.
            sent = json.loads(request.body) if request.content_type == "application/json" else None
        except ValueError:
            sent = None
        match sent:
            case {"id": str(id), "messages": [*_, {"parts": [*parts]}]} if UUID_FORM.fullmatch(id):
                answer = chats.start_sync(id, typed(asked(parts)))
                return EventStreamResponse(answer, headers=ui_messages.HEADERS)
        return HttpResponseBadRequest("send what useChat sends, with a UUID as the id")


class Answer(View):
    """The last answer of a chat."""

    def get(self, request: HttpRequest, id: UUID) -> HttpResponseBase:
        """Send it from its start, also what is still to come of it; 204 where there is none."""
        answer = chats.resume_sync(str(id))
        if answer is None:
            return HttpResponse(status=204)
        return EventStreamResponse(answer, headers=ui_messages.HEADERS)

    def delete(self, request: HttpRequest, id: UUID) -> HttpResponse:
        """End it for all its readers."""
        chats.stop_sync(str(id))
        return HttpResponse(status=204)


def asked(parts: list[Any]) -> str:
    """Return the text of a message."""
    return " ".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def typed(prompt: str) -> Iterator[str]:
    """Yield the words of the answer."""
    for word in words(prompt):
        yield word
        time.sleep(PACE)


urlpatterns = [
    path("assistant", TemplateView.as_view(template_name="assistant.html")),
    path("api/chat", Chat.as_view()),
    path("api/chat/<uuid:id>/stream", Answer.as_view()),
]
