"""Notifications that are live in every browser, none of them lost or shown twice, also when the server restarts."""

from datetime import UTC, datetime
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from streamkit import StreamPolicy
from streamkit.channels import Channels, SQLiteLog
from streamkit.fastapi import EventStreamResponse, LastEventID

PAGE = Path(__file__).parent / "static" / "notifications.html"

log = SQLiteLog(Path(__file__).with_name("notifications.db"))
# log = RedisLog("redis://127.0.0.1:6379")  # for several machines: from streamkit.channels.redis import RedisLog
channels = Channels(log)

router = APIRouter()


class Notification(BaseModel):
    """What the page sends."""

    text: str = Field(min_length=1, max_length=200)
    key: str = Field(min_length=1, max_length=200)


@router.get("/notifications", include_in_schema=False)
async def page() -> HTMLResponse:
    """Render the page with the position of now, so that nothing is lost until its stream is open."""
    position = await channels.position("notifications")
    return HTMLResponse(PAGE.read_text(encoding="utf-8").replace("{{ position }}", position))


@router.post("/notifications", status_code=204)
async def publish(sent: Notification) -> None:
    """Publish; sent again with the same key, after a reply that was lost, it is stored once."""
    notification = {"text": sent.text, "time": datetime.now(UTC)}
    await channels.publish("notifications", notification, key=sent.key)


@router.get("/notifications/stream", response_class=EventStreamResponse)
async def stream(last_id: LastEventID) -> EventStreamResponse:
    """Stream what was published after the position, or after the last event that the browser has seen."""
    return EventStreamResponse(channels.subscribe("notifications", after=last_id), policy=StreamPolicy(retry=1000))
