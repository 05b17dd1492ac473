"""Orders as they come in, to whichever worker a browser is connected; it comes back to any of them and misses nothing.

Run: gunicorn --workers 2 --threads 100 resume:app
"""

import os

from flask import Flask, request

from streamkit.channels import Channels, SQLiteLog
from streamkit.flask import EventStreamResponse, last_event_id

app = Flask(__name__)
channels = Channels(SQLiteLog(os.environ.get("EVENTS", "events.db")))


@app.get("/orders")
def orders() -> EventStreamResponse:
    """Stream what the client missed, then what comes."""
    events = channels.subscribe("orders", after=last_event_id(request))
    return EventStreamResponse(events, headers={"X-Worker": str(os.getpid())})


@app.post("/orders")
def order() -> str:
    """Take an order; return the id of its event."""
    return channels.publish_sync("orders", request.get_json())
