"""A chat page that types an answer word by word, and goes on exactly where it stopped when the connection drops."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

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
from streamkit.fastapi import EventStreamResponse, LastEventID

PACE = 0.05  # seconds a word, about as fast as a language model writes
PAGES = Path(__file__).parent / "static"

app = FastAPI()
app.mount("/static", StaticFiles(directory=PAGES))
for feature in (prompt, job, export, completions, relay, detached, assistant, notifications):
    app.include_router(feature.router)


class Answer(EventStreamResponse):
    """How answers are sent."""

    format = EventStream(json=True)  # because a word may be a line break
    policy = StreamPolicy(retry=1000)  # milliseconds until the browser makes a dropped connection again
    end = Event("", event="done")  # a browser that is not told takes the end for a dropped connection


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """Serve the chat page."""
    return FileResponse(PAGES / "chat.html")


@app.get("/answer", response_class=Answer)
async def answer(q: str, last_id: LastEventID) -> AsyncIterator[Event]:
    """Stream the answer to `?q=`, or what is left of it for a browser that was here before."""
    for position, word in rest(q, last_id):
        yield Event(word, id=position)
        await asyncio.sleep(PACE)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    url = f"http://127.0.0.1:{port}"
    print(f"Open  {url}/\nor    curl -N '{url}/answer?q=What+is+a+keepalive'\n", flush=True)
    uvicorn.run(app, port=port)
