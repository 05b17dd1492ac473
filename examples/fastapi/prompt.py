"""A prompt that is POSTed, read in the page by `fetch` and stream.js."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import BaseModel

from answers import words
from streamkit import Event, EventStream
from streamkit.fastapi import EventStreamResponse

PACE = 0.05  # seconds a word
PAGE = Path(__file__).parent / "static" / "prompt.html"

router = APIRouter()


class Prompt(BaseModel):
    """What the page sends."""

    prompt: str


@router.get("/prompt", include_in_schema=False)
async def page() -> FileResponse:
    """Serve the page that sends a prompt."""
    return FileResponse(PAGE)


@router.post("/prompt", response_class=EventStreamResponse)
async def answer(sent: Prompt) -> EventStreamResponse:
    """Stream the answer."""
    return EventStreamResponse(typed(sent.prompt), format=EventStream(json=True), end=Event("", event="done"))


async def typed(text: str) -> AsyncIterator[str]:
    """Yield the words of the answer."""
    for word in words(text):
        yield word
        await asyncio.sleep(PACE)
