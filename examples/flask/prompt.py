"""A prompt that is POSTed, read in the page by `fetch` and stream.js."""

import time
from collections.abc import Iterator

from flask import Blueprint, Response, abort, current_app, request

from answers import words
from streamkit import Event, EventStream
from streamkit.flask import EventStreamResponse

PACE = 0.05  # seconds a word

pages = Blueprint("prompt", __name__)


@pages.get("/prompt")
def page() -> Response:
    """Serve the page that sends a prompt."""
    return current_app.send_static_file("prompt.html")


@pages.post("/prompt")
def answer() -> Response:
    """Stream the answer to the JSON object `{"prompt": text}`; 400 for anything else."""
    sent = request.get_json()
    if not isinstance(sent, dict) or not isinstance(sent.get("prompt"), str):
        abort(400, 'send {"prompt": "…"}')
    return EventStreamResponse(typed(sent["prompt"]), format=EventStream(json=True), end=Event("", event="done"))


def typed(text: str) -> Iterator[str]:
    """Yield the words of the answer."""
    for word in words(text):
        yield word
        time.sleep(PACE)
