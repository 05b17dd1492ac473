"""A Flask application that says, on real servers, what each worker thread has on its context stack before a request."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import flask
from flask_compress import Compress

from streamkit import StreamPolicy
from streamkit.flask import EventStreamResponse
from tests.rig.scenarios import gated, gated_async, ticking, ticking_async
from tests.rig.sidedoor import open_side_door

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SOURCES: dict[str, Any] = {"sync": ticking, "async": ticking_async}

app = flask.Flask(__name__)
app.config["COMPRESS_MIMETYPES"] = ["text/event-stream", "application/json"]
app.config["COMPRESS_MIN_SIZE"] = 1
Compress(app)

torn_down: list[str] = []
stale: list[str] = []
flask_app = app.wsgi_app


def watched(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Look at the context stack of the worker thread, then let Flask answer."""
    if flask.has_app_context() or flask.has_request_context():
        stale.append(threading.current_thread().name)
    return flask_app(environ, start_response)


app.wsgi_app = watched  # type: ignore[method-assign]


@app.teardown_request
def note_teardown(_error: BaseException | None) -> None:
    """Note which request, or stream, has ended."""
    torn_down.append(flask.request.path)


@app.get("/inline")
def inline() -> Any:
    """Stream in the worker's own thread: without a keepalive there is no other."""
    return EventStreamResponse(ticking(), policy=StreamPolicy(keepalive=None))


@app.get("/pumped/<kind>")
def pumped(kind: str) -> Any:
    """Stream from a thread, or from the background loop."""
    return EventStreamResponse(SOURCES[kind]())


@app.get("/compressed/<kind>")
def compressed(kind: str) -> Any:
    """Stream five items, each when the test allows it."""
    return EventStreamResponse(gated() if kind == "sync" else gated_async())


@app.get("/state")
def state() -> Any:
    """Say what was found."""
    return {"torn_down": torn_down, "stale": stale, "thread": threading.get_ident()}


open_side_door()
