"""Notifications that are live in every browser, none of them lost or shown twice, also when the server restarts."""

from datetime import UTC, datetime
from pathlib import Path

from flask import Blueprint, Response, abort, render_template, request

from streamkit import StreamPolicy
from streamkit.channels import Channels, SQLiteLog
from streamkit.flask import EventStreamResponse, last_event_id

log = SQLiteLog(Path(__file__).with_name("notifications.db"))
# log = RedisLog("redis://127.0.0.1:6379")  # for several machines: from streamkit.channels.redis import RedisLog
channels = Channels(log)

pages = Blueprint("notifications", __name__, template_folder="static")


@pages.get("/notifications")
def page() -> str:
    """Render the page with the position of now, so that nothing is lost until its stream is open."""
    return render_template("notifications.html", position=channels.position_sync("notifications"))


@pages.post("/notifications")
def publish() -> Response:
    """Publish `{"text": …, "key": …}`; sent again with the same key, after a reply that was lost, it is stored once."""
    sent = request.get_json()
    if not isinstance(sent, dict) or not (is_short(sent.get("text")) and is_short(sent.get("key"))):
        abort(400, 'send {"text": "…", "key": "…"}')
    notification = {"text": sent["text"], "time": datetime.now(UTC)}
    channels.publish_sync("notifications", notification, key=sent["key"])
    return Response(status=204)


@pages.get("/notifications/stream")
def stream() -> Response:
    """Stream what was published after the position, or after the last event that the browser has seen."""
    events = channels.subscribe("notifications", after=last_event_id(request))
    return EventStreamResponse(events, policy=StreamPolicy(retry=1000))


def is_short(value: object) -> bool:
    """Say whether a value is text of 1 to 200 characters."""
    return isinstance(value, str) and 0 < len(value) <= 200
