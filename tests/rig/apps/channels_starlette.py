"""Channels in Starlette, and a page for browsers that notes what its EventSource dispatches."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from streamkit.starlette import EventStreamResponse, last_event_id
from tests.rig.apps.channels_shared import POLICY, channels, item, state, subscription

PAGE = """<!doctype html><title>Channels</title><script>
const seen = [], source = new EventSource("/events" + location.search);
let opens = 0;
source.onopen = () => opens++;
for (const type of ["message", "gap", "cursor", "caught-up", "snapshot", "paid"])
  source.addEventListener(type, (event) => seen.push([event.type, event.data, event.lastEventId]));
</script>"""


async def _page(_: Request) -> Response:
    return HTMLResponse(PAGE)


async def _events(request: Request) -> EventStreamResponse:
    return EventStreamResponse(subscription(request.query_params, last_event_id(request)), policy=POLICY)


async def _publish(request: Request) -> Response:
    return PlainTextResponse(await channels.publish("a", item(request.query_params)))


async def _position(_: Request) -> Response:
    return PlainTextResponse(await channels.position("a"))


async def _state(_: Request) -> Response:
    return JSONResponse(state())


async def _close(_: Request) -> Response:
    channels.close()
    return Response(status_code=204)


app = Starlette(
    routes=[
        Route("/", _page),
        Route("/events", _events),
        Route("/publish", _publish),
        Route("/position", _position),
        Route("/state", _state),
        Route("/close", _close),
    ]
)
