"""A hand-written ASGI application, so that the rig can be judged without streamkit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.rig.asgi import answer_lifespan
from tests.rig.recorder import recorder
from tests.rig.sidedoor import open_side_door

if TYPE_CHECKING:
    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

open_side_door()


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer /finite, /silent, /cut and /endless."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    assert scope["type"] == "http"
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain")],
            "trailers": False,
        }
    )
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    if scope["method"] != "HEAD":
        await _body(scope, receive, send)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _body(scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    async with recorder.recording(scope["path"]) as record:
        if scope["path"] == "/silent":
            await asyncio.sleep(0.5)
        await send({"type": "http.response.body", "body": record.pull(b"one\n"), "more_body": True})
        if scope["path"] == "/cut":
            raise RuntimeError("planned failure")
        if scope["path"] == "/endless":
            await receive()
            while (await receive())["type"] != "http.disconnect":
                pass
        await asyncio.sleep(0.1)
        await send({"type": "http.response.body", "body": record.pull(b"two\n"), "more_body": True})
