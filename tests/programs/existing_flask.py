"""A Flask app that streamed before it knew streamkit, and one line of middleware."""

import time
from collections.abc import Iterator

from flask import Flask, Response

from streamkit import StreamPolicy
from streamkit.flask import StreamingMiddleware

app = Flask(__name__)


def ticks() -> Iterator[str]:
    """Give frames that were written by hand."""
    number = 0
    while True:
        yield f"data: {number}\n\n"
        number += 1
        time.sleep(0.05)


@app.get("/ticks")
def stream() -> Response:
    """Stream without streamkit."""
    return Response(ticks(), mimetype="text/event-stream")


# mypy holds every method for one that nobody replaces; Flask's own documentation does.
app.wsgi_app = StreamingMiddleware(app.wsgi_app, policy=StreamPolicy(max_age=600))  # type: ignore[method-assign]
