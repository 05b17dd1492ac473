"""The plain ASGI responses beside Quart, whose views return no ASGI applications: some paths are answered before it."""

from typing import Any

from quart import Quart

from streamkit import Event
from streamkit.asgi import EventStreamResponse
from streamkit.testing import open_stream
from tests.adapters.watched import Watched


class Streams:
    """Answer the path /events by a stream, and leave every other request to Quart."""

    def __init__(self, app: Any, source: Watched) -> None:
        self.app = app
        self.source = source

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["path"] == "/events":
            await EventStreamResponse(self.source.items())(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def app_of(source: Watched) -> Quart:
    """Return a Quart application with a stream at /events and a view at /."""
    app = Quart("tests")

    @app.get("/")
    async def index() -> str:
        return "here"

    app.asgi_app = Streams(app.asgi_app, source)  # type: ignore[method-assign]
    return app


def test_stream_beside_quart_is_sent_item_by_item_and_closed_on_disconnect() -> None:
    """Each item arrives when it is there, views go on answering, and the source is closed when the client has left."""
    source = Watched()
    app = app_of(source)
    with open_stream(app, "GET", "/events") as events:
        for item in ("one", "two"):
            source.pipe.put(item)
            assert events.take() == [Event(item)]
        with open_stream(app, "GET", "/") as other:
            assert other.read() == b"here"
        events.disconnect()
        assert source.closed.is_set()
        assert events.error is None
