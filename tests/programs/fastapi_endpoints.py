"""FastAPI endpoints that stream: by `return`, and by `yield` behind a permission.

Run: uvicorn fastapi_endpoints:app
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException

from streamkit import Event, EventStream
from streamkit.fastapi import EventStreamResponse, LastEventID

app = FastAPI()
DONE = Event("", event="done")


async def tokens(first: int = 0) -> AsyncIterator[Event]:
    """Give the tokens of an answer."""
    for number, token in enumerate(["Hel", "lo", "\n"]):
        if number >= first:
            yield Event(token, id=number)
            await asyncio.sleep(0.1)


@app.get("/returned")
async def returned(last: LastEventID = None) -> EventStreamResponse:
    """Stream what follows the event that the client has."""
    first = int(last) + 1 if last and last.isdecimal() else 0
    return EventStreamResponse(tokens(first), format=EventStream(json=True), end=DONE)


class Tokens(EventStreamResponse):
    """The options of endpoints that yield: FastAPI passes none to a `response_class`."""

    format = EventStream(json=True)
    end = DONE


async def user(token: Annotated[str | None, Header(alias="Authorization")] = None) -> str:
    """Return who asks; 403 for a stranger."""
    if token != "Bearer of-ann":
        raise HTTPException(403, "not yours")
    return "Ann"


@app.get("/yielded", response_class=Tokens)
async def yielded(name: Annotated[str, Depends(user)]) -> AsyncIterator[Event]:
    """Stream to a user alone; the permission is checked before the head is sent."""
    yield Event(f"for {name}")
    async for token in tokens():
        yield token
