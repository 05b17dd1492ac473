"""The streams for real clients, through `streamkit.fastapi`."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response

import streamkit.fastapi
from streamkit.fastapi import LastEventID
from tests.rig.apps.clients_shared import PAGE, make, page_script, play_async
from tests.rig.sidedoor import open_side_door

app = FastAPI(openapi_url=None)


@app.get("/page")
async def page() -> Response:
    """Answer with the page of the clients."""
    return HTMLResponse(PAGE)


@app.get("/page.js")
async def script() -> Response:
    """Answer with its script."""
    return Response(page_script(), media_type="text/javascript")


@app.get("/close/{key}")
async def close(key: str) -> dict[str, int]:
    """End the streams of a key."""
    return {"closed": streamkit.close_streams(key)}


@app.api_route("/{shape}/{trap}/{key}", methods=["GET", "POST"], response_model=None)
@app.api_route("/{shape}/{trap}/{key}/{_:path}", methods=["GET", "POST"], response_model=None)
async def stream(shape: str, trap: str, key: str, _: str = "", last: LastEventID = None) -> Any:
    """Stream."""
    made = make(shape, trap, key, last)
    return getattr(streamkit.fastapi, made.response)(made.content(play_async(made.steps)), **made.options)


open_side_door()
