"""The ASGI middleware: one guard per request, which is out of the way unless the response is a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from streamkit._engine.clock import SYSTEM, Clock
from streamkit._engine.foreign.kinds import asks_for_stream
from streamkit._engine.foreign.mark import KEY
from streamkit._engine.foreign.options import MiddlewareOptions, check_app
from streamkit._engine.life import OnClose
from streamkit._engine.limit import StreamLimit
from streamkit._engine.message import Receive, Send
from streamkit._engine.policy import StreamPolicy

App = Callable[[Any, Any, Any], Awaitable[None]]


class StreamingMiddleware:
    """Give streams that an app makes without streamkit what streamkit's own streams have; touch nothing else.

        app = StreamingMiddleware(app)                    # any ASGI app
        app.add_middleware(StreamingMiddleware)           # Starlette, FastAPI

    A stream is a response of type `text/event-stream`, `application/x-ndjson`, `application/jsonl` or
    `application/json-seq`, or any without Content-Length whose body comes in pieces. It gets

    - the headers `Cache-Control: no-cache, no-transform` and `X-Accel-Buffering: no`, where the app has not set them,
      `no-transform` in an event stream where it has, and none that belong to the server;
    - a keepalive when it was silent for long, between two events only;
    - an end when its client has left, also where the app does not ask: the app sees `http.disconnect`, and what it
      sends raises OSError a second later; when its client takes nothing for `send_timeout`; at its `max_age`; and when
      the server is told to stop. What a generator awaits in its `finally` is done in the last three;
    - a place in `streamkit.stats()`, and in `limit`.

    An error in mid-stream is never sent as a clean end. HEAD is answered by the head alone. The app compresses no
    response to a request that accepts one of the types above. A streamkit response is passed through, with what it was
    given itself; so is every response without a stream.

    Args:
        app: The ASGI app.
        policy: How the streams behave; `retry` and `buffer_size` have no meaning here.
        limit: A `StreamLimit` on the streams.
        on_close: Called once when a stream has ended, with why and its `StreamStats`. A plain function.

    Raises:
        TypeError: An argument is of the wrong kind.
    """

    _clock: Clock = SYSTEM

    def __init__(
        self,
        app: App,
        *,
        policy: StreamPolicy | None = None,
        limit: StreamLimit | None = None,
        on_close: OnClose | None = None,
    ) -> None:
        from streamkit._engine.foreign.guard import Guard, Shared  # who has no middleware waits for none of it

        self._app, self._guard = check_app(app, "an ASGI"), Guard
        self._shared = Shared(MiddlewareOptions(policy, limit, on_close, self._clock))

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        try:
            own = asyncio.current_task() if scope["type"] == "http" and KEY not in scope else None
        except RuntimeError:
            own = None  # trio, of which we know no tasks
        if own is None:
            await self._app(scope, receive, send)
            return
        guard = self._guard(self._shared, own, scope, receive, send)
        scope[KEY] = guard
        if hides := _asks_for_stream(headers := scope.get("headers", ())):
            scope["headers"] = [pair for pair in headers if pair[0] != b"accept-encoding"]
        try:
            await self._app(scope, guard.receive, guard.send)
        except BaseException as exc:
            if not await guard.app_returned(exc):
                raise
        else:
            if guard.attentive:
                await guard.app_returned(None)
        finally:
            if hides:
                scope["headers"] = headers
            del scope[KEY]


def _asks_for_stream(headers: Any) -> bool:
    for name, value in headers:
        if name == b"accept":
            return asks_for_stream(value.decode("latin-1"))
    return False
