"""A Flask view that streams; the generator knows the request.

Run: flask --app flask_view run
"""

import time
from collections.abc import Iterator

from flask import Flask, request

from streamkit import Event, StreamPolicy
from streamkit.flask import EventStreamResponse

app = Flask(__name__)


def countdown(first: int) -> Iterator[Event]:
    """Give a number each tenth of a second, to whoever asks."""
    for number in range(first, 0, -1):
        yield Event({"left": number, "for": request.args["name"]}, id=number)
        time.sleep(0.1)


@app.get("/countdown")
def stream() -> EventStreamResponse:
    """Stream a countdown."""
    return EventStreamResponse(countdown(3), end=Event("", event="done"), policy=StreamPolicy(keepalive=5))
