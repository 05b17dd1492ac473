"""An answer that outlives its readers: close the laptop in the middle, open the address elsewhere, and see the rest."""

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from flask import Blueprint, Response, abort, current_app, request

from answers import words
from streamkit import Event, EventStream, StreamPolicy
from streamkit.channels import Detached, SQLiteLog
from streamkit.flask import EventStreamResponse, last_event_id

PACE = 0.05  # seconds a word

log = SQLiteLog(Path(__file__).with_name("detached.db"))
# log = RedisLog("redis://127.0.0.1:6379")  # for several machines: from streamkit.channels.redis import RedisLog
streams = Detached(log, lease=5)  # seconds after which an answer whose server was killed is taken for lost

pages = Blueprint("detached", __name__)


@pages.get("/detached")
def page() -> Response:
    """Serve the page; `?key=` in its address says which answer it shows."""
    return current_app.send_static_file("detached.html")


@pages.put("/detached/<uuid:key>")
def start(key: UUID) -> Response:
    """Start the answer to `{"prompt": text}` under a key that the page has made; sent again, it starts nothing."""
    sent = request.get_json()
    if not isinstance(sent, dict) or not isinstance(sent.get("prompt"), str):
        abort(400, 'send {"prompt": "…"}')
    streams.start_sync(str(key), typed(sent["prompt"]))
    return Response(status=202)


@pages.get("/detached/<uuid:key>")
def read(key: UUID) -> Response:
    """Stream what the browser has not seen of an answer; 204 if that is nothing, not even the end; 404 if none is."""
    last_id = last_event_id(request)
    status = streams.status_sync(str(key), after=last_id)
    if status.code != 200:
        return Response(status=status.code)
    events = streams.attach(str(key), after=last_id)
    # JSON, because a word may be a line break; `retry`, the milliseconds until a dropped connection is made again.
    return EventStreamResponse(events, format=EventStream(json=True), policy=StreamPolicy(retry=1000))


@pages.delete("/detached/<uuid:key>")
def stop(key: UUID) -> Response:
    """End an answer for all its readers."""
    streams.cancel_sync(str(key))
    return Response(status=204)


def typed(prompt: str) -> Iterator[Event | str]:
    """Yield the question, for browsers that did not ask it, and the words of the answer."""
    yield Event(prompt, event="question")
    for word in words(prompt):
        yield word
        time.sleep(PACE)
