"""The streams for real clients, through `streamkit.flask`."""

from __future__ import annotations

from typing import Any

import flask

import streamkit.flask
from tests.rig.apps.clients_shared import PAGE, make, page_script, play
from tests.rig.sidedoor import open_side_door

app = flask.Flask(__name__)


@app.get("/page")
def page() -> str:
    """Answer with the page of the clients."""
    return PAGE


@app.get("/page.js")
def script() -> flask.Response:
    """Answer with its script."""
    return flask.Response(page_script(), mimetype="text/javascript")


@app.get("/close/<key>")
def close(key: str) -> dict[str, int]:
    """End the streams of a key."""
    return {"closed": streamkit.close_streams(key)}


@app.route("/<shape>/<trap>/<key>", methods=["GET", "POST"])
@app.route("/<shape>/<trap>/<key>/<path:_>", methods=["GET", "POST"])
def stream(shape: str, trap: str, key: str, _: str = "") -> Any:
    """Stream."""
    made = make(shape, trap, key, streamkit.flask.last_event_id(flask.request))
    return getattr(streamkit.flask, made.response)(made.content(play(made.steps)), **made.options)


open_side_door()
