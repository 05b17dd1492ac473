"""An answer that outlives its readers: close the laptop in the middle, open the address elsewhere, and see the rest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel

from answers import words
from streamkit import Event, EventStream, StreamPolicy
from streamkit.channels import Detached, SQLiteLog
from streamkit.fastapi import EventStreamResponse, LastEventID

PACE = 0.05  # seconds a word
PAGE = Path(__file__).parent / "static" / "detached.html"

log = SQLiteLog(Path(__file__).with_name("detached.db"))
# log = RedisLog("redis://127.0.0.1:6379")  # for several machines: from streamkit.channels.redis import RedisLog
streams = Detached(log, lease=5)  # seconds after which an answer whose server was killed is taken for lost


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Let answers finish when the server leaves, within a few seconds; the server itself waits for no task."""
    yield
    await streams.close()


router = APIRouter(lifespan=lifespan)


class Prompt(BaseModel):
    """What the page sends."""

    prompt: str


@router.get("/detached", include_in_schema=False)
async def page() -> FileResponse:
    """Serve the page; `?key=` in its address says which answer it shows."""
    return FileResponse(PAGE)


@router.put("/detached/{key}", status_code=202)
async def start(key: UUID, sent: Prompt) -> None:
    """Start an answer under a key that the page has made; sent again, it starts nothing."""
    await streams.start(str(key), typed(sent.prompt))


@router.get("/detached/{key}", response_class=EventStreamResponse)
async def read(key: UUID, last_id: LastEventID) -> Response:
    """Stream what the browser has not seen of an answer; 204 if that is nothing, not even the end; 404 if none is."""
    status = await streams.status(str(key), after=last_id)
    if status.code != 200:
        return Response(status_code=status.code)
    events = streams.attach(str(key), after=last_id)
    # JSON, because a word may be a line break; `retry`, the milliseconds until a dropped connection is made again.
    return EventStreamResponse(events, format=EventStream(json=True), policy=StreamPolicy(retry=1000))


@router.delete("/detached/{key}", status_code=204)
async def stop(key: UUID) -> None:
    """End an answer for all its readers."""
    await streams.cancel(str(key))


async def typed(prompt: str) -> AsyncIterator[Event | str]:
    """Yield the question, for browsers that did not ask it, and the words of the answer."""
    yield Event(prompt, event="question")
    for word in words(prompt):
        yield word
        await asyncio.sleep(PACE)
