"""A Flask app that streams without streamkit, and the middleware around it, for real servers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import flask

from streamkit import StreamPolicy
from streamkit.flask import StreamingMiddleware
from tests.rig.recorder import recorder
from tests.rig.scenarios import gated, ticking
from tests.rig.sidedoor import open_side_door

app = flask.Flask(__name__)


def streamed(items: Iterable[object]) -> flask.Response:
    """Return a stream as people write it, each item behind the path that was asked for."""

    def events() -> Iterator[str]:
        for item in items:
            yield f"data: {flask.request.path} {item}\n\n"

    return flask.Response(flask.stream_with_context(events()), mimetype="text/event-stream")


@app.get("/gated")
def _gated() -> flask.Response:
    return streamed(gated())


@app.get("/ticking")
def _ticking() -> flask.Response:
    return streamed(ticking())


@app.get("/idle")
def idle() -> flask.Response:
    """Look for news often, and say that there are none by an empty item."""

    def items() -> Iterator[str]:
        with recorder.recording("idle") as record:
            yield "id: 1\ndata: hello\n\n"
            while not record.released:
                time.sleep(0.05)
                yield ""

    return flask.Response(items(), mimetype="text/event-stream")


@app.get("/half")
def half() -> flask.Response:
    """Fail in the middle."""

    def items() -> Iterator[str]:
        yield "data: a\n\n"
        time.sleep(0.2)
        raise ValueError("half")

    return flask.Response(items(), mimetype="text/event-stream")


bare = app.wsgi_app
app.wsgi_app = StreamingMiddleware(bare)  # type: ignore[method-assign]
lively = StreamingMiddleware(bare, policy=StreamPolicy(keepalive=0.1))

open_side_door()
