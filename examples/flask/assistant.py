"""A chat for the AI SDK's useChat: answers go on without the page, and are found again after a reload.

The page is in the folder `assistant`, to be built once: `npm install && npm run build`.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, abort, current_app, request

from answers import words
from streamkit.channels import Detached, SQLiteLog
from streamkit.flask import EventStreamResponse
from streamkit.llm import ui_messages

PACE = 0.05  # seconds a word
UUID_FORM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # as crypto.randomUUID() makes them

log = SQLiteLog(Path(__file__).with_name("assistant.db"))  # what the workers of one machine share
chats = ui_messages.Chats(Detached(log, lease=5))  # seconds after which an answer whose server was killed is lost

pages = Blueprint("assistant", __name__)


@pages.get("/assistant")
def page() -> Response:
    """Serve the page; `?chat=` in its address says which chat it shows."""
    return current_app.send_static_file("assistant.html")


@pages.post("/api/chat")
def ask() -> Response:
    """Answer the last message of a chat; where the client leaves, the answer goes on."""
    match request.get_json():
        case {"id": str(sent), "messages": [*_, {"parts": [*parts]}]} if UUID_FORM.fullmatch(sent):
            answer = chats.start_sync(sent, typed(asked(parts)))
        case _:
            abort(400, "send what useChat sends, with a UUID as the id")
    return EventStreamResponse(answer, headers=ui_messages.HEADERS)


@pages.get("/api/chat/<uuid:id>/stream")
def resume(id: UUID) -> Response:
    """Send the last answer of a chat from its start, also what is still to come of it; 204 where there is none."""
    answer = chats.resume_sync(str(id))
    if answer is None:
        return Response(status=204)
    return EventStreamResponse(answer, headers=ui_messages.HEADERS)


@pages.delete("/api/chat/<uuid:id>/stream")
def stop(id: UUID) -> Response:
    """End the answer that a chat is getting, for all its readers."""
    chats.stop_sync(str(id))
    return Response(status=204)


def asked(parts: list[Any]) -> str:
    """Return the text of a message."""
    return " ".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def typed(prompt: str) -> Iterator[str]:
    """Yield the words of the answer."""
    for word in words(prompt):
        yield word
        time.sleep(PACE)
