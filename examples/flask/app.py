"""A chat page that types an answer word by word, and goes on exactly where it stopped when the connection drops."""

import sys
import time
from collections.abc import Iterator

from flask import Flask, Response, request

import assistant
import completions
import detached
import export
import job
import notifications
import prompt
import relay
from answers import rest
from streamkit import Event, EventStream, StreamPolicy
from streamkit.flask import EventStreamResponse, last_event_id

PACE = 0.05  # seconds a word, about as fast as a language model writes

app = Flask(__name__)
for feature in (prompt, job, export, completions, relay, detached, assistant, notifications):
    app.register_blueprint(feature.pages)


@app.get("/")
def page() -> Response:
    """Serve the chat page."""
    return app.send_static_file("chat.html")


@app.get("/answer")
def answer() -> Response:
    """Stream the answer to `?q=`, or what is left of it for a browser that was here before."""
    words = typed(request.args.get("q", ""), last_event_id(request))
    # JSON, because a word may be a line break; `retry`, the milliseconds until a dropped connection is made again;
    # `end`, because a browser that is not told takes the end for a dropped connection.
    return EventStreamResponse(
        words, format=EventStream(json=True), policy=StreamPolicy(retry=1000), end=Event("", event="done")
    )


def typed(question: str, last_id: str | None) -> Iterator[Event]:
    """Yield the words that the browser lacks, each with its position in the answer as its id."""
    for position, word in rest(question, last_id):
        yield Event(word, id=position)
        time.sleep(PACE)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    url = f"http://127.0.0.1:{port}"
    print(f"Open  {url}/\nor    curl -N '{url}/answer?q=What+is+a+keepalive'\n", flush=True)
    app.run(port=port)
