"""The plain ASGI responses beside Quart, whose views return no ASGI applications: some paths are answered before it."""

from typing import Any

from quart import Quart

from streamkit.asgi import EventStreamResponse
from tests.adapters.watched import Watched, host


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
    with host(app_of(source)) as server, server.open("/events") as stream:
        for item in ("one", "two"):
            source.pipe.put(item)
            stream.read_until(f"data: {item}\n\n".encode())
        assert server.open("/").read_to_end() == b"here"
        stream.leave()
        assert source.closed.wait(3)
        assert stream.done.wait(3)
        assert server.errors == []
