"""Channels in Flask."""

from __future__ import annotations

from typing import Any

import flask

from streamkit.flask import EventStreamResponse, last_event_id
from tests.rig.apps.channels_shared import POLICY, channels, item, state, subscription

app = flask.Flask(__name__)


@app.get("/events")
def events() -> Any:
    """Stream."""
    return EventStreamResponse(subscription(flask.request.args, last_event_id(flask.request)), policy=POLICY)


@app.get("/publish")
def publish() -> str:
    """Publish; answer with the id."""
    return channels.publish_sync("a", item(flask.request.args))


@app.get("/position")
def position() -> str:
    """Answer with the id of now."""
    return channels.position_sync("a")


@app.get("/state")
def say_state() -> Any:
    """Answer with what is to be known."""
    return state()
