"""The plain ASGI responses in Litestar, which takes an ASGI application as the result of a handler."""

from typing import Any

import pytest
from litestar import Litestar, Request, asgi, get
from litestar.types import ASGIApp, Receive, Scope, Send

from streamkit.asgi import EventStreamResponse, NDJSONResponse, last_event_id
from tests.adapters.watched import Watched, host


def app_of(source: Watched) -> Litestar:
    """Return an application with both ways to answer by a stream."""

    @get("/returned")
    async def returned() -> EventStreamResponse:
        return EventStreamResponse(source.items())

    @get("/returned_sync", sync_to_thread=False)
    def returned_sync() -> ASGIApp:
        return NDJSONResponse(source.items_sync())  # type: ignore[return-value]

    @asgi("/called", copy_scope=True)
    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        await EventStreamResponse(source.items())(scope, receive, send)  # type: ignore[arg-type]

    return Litestar([returned, returned_sync, called], openapi_config=None)


@pytest.mark.parametrize("path", ["/returned", "/returned_sync", "/called"])
def test_handler_streams_item_by_item_and_closes_on_disconnect(path: str) -> None:
    """Each item arrives when it is there, and the source is closed when the client has left."""
    source = Watched()
    with host(app_of(source)) as server, server.open(path) as stream:
        assert stream.head().get("x-accel-buffering") == "no"
        for item in ("one", "two"):
            source.pipe.put(item)
            stream.read_until(item.encode())
        stream.leave()
        source.pipe.close()  # a sync source is closed when its thread comes out of it
        assert source.closed.wait(3)
        assert stream.done.wait(3)
        assert server.errors == []


def test_last_event_id_is_read_from_the_scope() -> None:
    """The resuming id of a browser is found in the scope of a Litestar request."""

    @get("/")
    async def resume(request: Request[Any, Any, Any]) -> EventStreamResponse:
        return EventStreamResponse([last_event_id(request.scope)])  # type: ignore[arg-type]

    with host(Litestar([resume], openapi_config=None)) as server:
        assert server.open("/", headers={"Last-Event-ID": "7"}).read_to_end() == b"data: 7\n\n"
