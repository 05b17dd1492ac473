"""An app that does to its readers what apps do: it cuts, ends, moves, forbids, and forgets old events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from streamkit import Event, StreamPolicy
from streamkit.channels import Channels, MemoryLog
from streamkit.starlette import EventStreamResponse, NDJSONResponse, last_event_id
from tests.rig.sidedoor import open_side_door

channels = Channels(MemoryLog(max_events=5))


async def publish(_: Request) -> Response:
    """Publish 1 to 10 and return their ids; the log keeps 6 to 10."""
    return JSONResponse([await channels.publish("orders", number) for number in range(1, 11)])


async def orders(request: Request) -> Response:
    """Send what follows the position, and break off in mid-stream: at the third event, but for the end."""
    return EventStreamResponse(_cut(last_event_id(request)), policy=StreamPolicy(retry=20))


async def _cut(after: str | None) -> AsyncIterator[object]:
    async with aclosing(channels.subscribe("orders", after=after)) as events:
        left = 2
        async for event in events:
            if left == 0:
                raise RuntimeError("the app fails here, on purpose")
            yield event
            left -= 1
            if event.data == 10:
                yield Event("", event="done")


async def numbers(request: Request) -> Response:
    """Send two numbers a connection, end well, and answer 204 after the sixth."""
    last = int(last_event_id(request) or 0)
    if last == 6:
        return Response(status_code=204)
    return EventStreamResponse([Event(n, id=n) for n in (last + 1, last + 2)], policy=StreamPolicy(retry=20))


async def moved(_: Request) -> Response:
    """Lead to the numbers."""
    return RedirectResponse("/numbers")


async def login(_: Request) -> Response:
    """Show a page, as a proxy does whose session has run out."""
    return HTMLResponse("<!doctype html><title>Log in</title>")


async def rows(_: Request) -> Response:
    """Send rows, and break off."""
    return NDJSONResponse(_rows())


async def _rows() -> AsyncIterator[dict[str, int]]:
    yield {"n": 1}
    yield {"n": 2}
    await asyncio.sleep(0)  # what fails before it has waited once is answered by 500
    raise RuntimeError("the app fails here, on purpose")


app = Starlette(
    routes=[
        Route("/publish", publish),
        Route("/orders", orders),
        Route("/numbers", numbers),
        Route("/moved", moved),
        Route("/login", login),
        Route("/rows", rows),
    ]
)

open_side_door()
