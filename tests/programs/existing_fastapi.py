"""A FastAPI app that streamed before it knew streamkit, and one line of middleware. Starlette: the same line."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from streamkit import StreamPolicy
from streamkit.fastapi import StreamingMiddleware

app = FastAPI()
app.add_middleware(StreamingMiddleware, policy=StreamPolicy(max_age=600))


async def ticks() -> AsyncIterator[str]:
    """Give frames that were written by hand."""
    number = 0
    while True:
        yield f"data: {number}\n\n"
        number += 1
        await asyncio.sleep(0.05)


@app.get("/ticks")
async def stream() -> StreamingResponse:
    """Stream without streamkit."""
    return StreamingResponse(ticks(), media_type="text/event-stream")
