"""The plain ASGI responses in Litestar, which takes an ASGI application as the result of a handler."""

from typing import Any

import pytest
from litestar import Litestar, Request, asgi, get
from litestar.types import ASGIApp, Receive, Scope, Send

from streamkit import Event
from streamkit.asgi import EventStreamResponse, NDJSONResponse, last_event_id
from streamkit.testing import open_stream
from tests.adapters.watched import Watched


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
    with open_stream(app_of(source), "GET", path) as events:
        assert events.headers["x-accel-buffering"] == "no"
        for item in ("one", "two"):
            source.pipe.put(item)
            assert [getattr(got, "data", got) for got in events.take()] == [item]
        events.disconnect()
        assert events.error is None
    source.pipe.close()  # a sync source is closed when its thread comes out of it
    assert source.closed.wait(10)


def test_last_event_id_is_read_from_the_scope() -> None:
    """The resuming id of a browser is found in the scope of a Litestar request."""

    @get("/")
    async def resume(request: Request[Any, Any, Any]) -> EventStreamResponse:
        return EventStreamResponse([last_event_id(request.scope)])  # type: ignore[arg-type]

    with open_stream(Litestar([resume], openapi_config=None), "GET", "/", headers={"Last-Event-ID": "7"}) as events:
        assert list(events) == [Event("7")]
