"""An ASGI app inside the middleware, a client whose every move a test decides, and time that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from streamkit._engine.clock import SYSTEM, Clock
from streamkit.asgi import StreamingMiddleware
from tests.engine.drive import Client
from tests.engine.fake_clock import settle

Message = dict[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

EVENTS = "text/event-stream"


class Caller(Client):
    """A client and the server between: it gives the app the body of the request first.

    Attributes:
        received: How many messages the server has given.
        crowded: Two have waited for a message at a time.
    """

    def __init__(self, *request: Message) -> None:
        super().__init__()
        self._request = list(request or [{"type": "http.request", "body": b"", "more_body": False}])
        self._waiting = False
        self.crowded = False
        self.received = 0

    async def receive(self) -> Message:
        """Return the next part of the request, then wait until the client leaves."""
        self.crowded |= self._waiting
        self._waiting = True
        try:
            if self._request:
                message = self._request.pop(0)
            else:
                message = await super().receive()
        finally:
            self._waiting = False
        self.received += 1
        return message


def scope(method: str = "GET", accept: str = EVENTS, **more: Any) -> Message:
    """Return the scope of a request, as a browser's EventSource makes it."""
    headers = [(b"accept", accept.encode()), (b"accept-encoding", b"gzip, br")]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": method,
        "path": "/",
        "root_path": "",
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "server": ("rig", 80),
        "client": ("127.0.0.1", 1),
        "headers": headers,
        **more,
    }


def head(media_type: str | None = EVENTS, status: int = 200, **headers: str) -> Message:
    """Return the head of a response."""
    fields = {**({} if media_type is None else {"content-type": media_type}), **headers}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return {"type": "http.response.start", "status": status, "headers": raw}


def body(chunk: bytes, *, more: bool = True) -> Message:
    """Return a piece of body."""
    return {"type": "http.response.body", "body": chunk, "more_body": more}


def around(app: App, clock: Clock = SYSTEM, **options: Any) -> StreamingMiddleware:
    """Return the middleware around `app`, living by `clock`."""
    kind: type[StreamingMiddleware] = type("Timed", (StreamingMiddleware,), {"_clock": clock})
    return kind(app, **options)


async def call(app: App, caller: Caller | None = None, method: str = "GET", **options: Any) -> Caller:
    """Call `app` inside the middleware, to its end."""
    caller = caller or Caller()
    await around(app, **options)(scope(method), caller.receive, caller.send)
    return caller


def begin(app: App, caller: Caller, request: Message | None = None, **options: Any) -> asyncio.Task[None]:
    """Call `app` inside the middleware in a task, as a server does."""

    async def served() -> None:
        await around(app, **options)(request or scope(), caller.receive, caller.send)

    return asyncio.create_task(served())


def sending(*messages: Message) -> App:
    """Return an app that sends messages and ends."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def idle_after(*messages: Message, notes: list[str] | None = None) -> App:
    """Return an app that sends messages, then waits until it is cancelled, and awaits something after that."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        try:
            for message in messages:
                await send(message)
            await asyncio.Event().wait()
        finally:
            await settle()
            if notes is not None:
                notes.append("cleaned up")

    return app
