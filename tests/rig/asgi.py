"""Drive an ASGI application in process, by a checker that forgives nothing.

`checked` wraps an application and refuses what the ASGI specification refuses and some servers let pass: body before
start, anything after the end, header names in upper case, wrong types. `ASGIHost` plays the server on an event loop in
a thread of its own, with backpressure, so that a test reads an in-process stream exactly as one from a socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

from tests.rig.sidedoor import SideDoor
from tests.rig.stream import Head, Stream

if TYPE_CHECKING:
    from types import TracebackType

    from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

# What a real server and its kernel would take before they make the application wait.
_HIGH_WATER = 65536


class Violation(AssertionError):
    """The application broke a rule of the ASGI specification."""


def _check_start(event: dict[str, Any], *, lower_case: bool) -> None:
    if type(event["status"]) is not int:
        raise Violation(f"status is no int: {event['status']!r}")
    for name, value in event.get("headers", ()):
        if type(name) is not bytes or type(value) is not bytes:
            raise Violation(f"header is not bytes: {name!r}: {value!r}")
        if (lower_case and name != name.lower()) or name.startswith(b":"):
            raise Violation(f"header name not in lower case: {name!r}")
        if b"\n" in value or b"\r" in value:
            raise Violation(f"line break in a header: {name!r}: {value!r}")


class Checker:
    """The order of events that one response may send.

    Args:
        lower_case: insist on header names in lower case, as the specification does.
    """

    def __init__(self, *, lower_case: bool = True) -> None:
        self.stage = "start"
        self._lower_case = lower_case

    def sent(self, event: dict[str, Any]) -> None:
        """Take note of an event, or raise Violation."""
        kind = event["type"]
        if self.stage == "ended":
            raise Violation(f"{kind} after the end")
        if self.stage == "start":
            if kind != "http.response.start":
                raise Violation(f"{kind} before http.response.start")
            _check_start(event, lower_case=self._lower_case)
            self.stage = "body"
            return
        if kind != "http.response.body":
            raise Violation(f"{kind} inside the body")
        if type(event.get("body", b"")) is not bytes:
            raise Violation(f"body is no bytes: {event['body']!r}")
        if type(event.get("more_body", False)) is not bool:
            raise Violation(f"more_body is no bool: {event['more_body']!r}")
        if not event.get("more_body", False):
            self.stage = "ended"


class ASGIStream(Stream):
    """One request to an application driven in process."""

    def __init__(self, host: ASGIHost) -> None:
        super().__init__()
        self._host = host
        self._events: queue.SimpleQueue[tuple[dict[str, Any], float]] = queue.SimpleQueue()
        self._waiting = 0
        self._room = asyncio.Event()
        self._gone = asyncio.Event()
        self._over = asyncio.Event()
        self._room.set()
        self.done = threading.Event()

    def leave(self, *, reset: bool = False) -> None:
        """Let `receive` report the disconnect and release a `send` that waits."""
        if self.left_at is None:
            self.left_at = time.monotonic()
            self._host.call(self._leave)

    def _leave(self) -> None:
        self._gone.set()
        self._over.set()
        self._room.set()

    def _advance(self, within: float) -> bool:
        try:
            event, at = self._events.get(timeout=within)
        except queue.Empty:
            return False
        if event["type"] == "http.response.start":
            pairs = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in event["headers"])
            self._head = Head(event["status"], pairs, at)
        elif event["type"] == "http.response.body":
            self._arrived(event.get("body", b""))
            self._host.call(self._make_room, len(event.get("body", b"")))
        else:
            self.ending = event["ending"]
        return True

    def _make_room(self, size: int) -> None:
        self._waiting -= size
        if self._waiting < _HIGH_WATER:
            self._room.set()

    async def run(self, app: ASGI3Application, scope: Scope, checker: Checker, *, raise_after_leave: bool) -> None:
        """Call the application as a server would."""
        asked = False

        async def receive() -> Any:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await self._over.wait()  # the end of the response is reported like a client that has left
            return {"type": "http.disconnect"}

        async def send(event: Any) -> None:
            checker.sent(event)
            if checker.stage == "ended":
                self._over.set()
            if self._gone.is_set():
                if raise_after_leave:
                    raise OSError("the client has left")
                return
            self._events.put((event, time.monotonic()))
            self._waiting += len(event.get("body", b""))
            if self._waiting >= _HIGH_WATER:
                self._room.clear()
                await self._room.wait()

        try:
            await app(scope, receive, send)
        except BaseException as error:
            self.error = error
        finally:
            # A server that gets no last body event must cut the connection.
            complete = checker.stage == "ended"
            self._events.put(({"type": "rig.end", "ending": "returned" if complete else "truncated"}, time.monotonic()))
            self._host.finished(self)


class ASGIHost:
    """Play the server for one application, on an event loop in a thread.

    Args:
        app: the application.
        raise_after_leave: let `send` raise OSError once the client left, as the specification has it since 2.4;
            without it `send` returns at once and does nothing, as uvicorn does.
        lower_case: insist on header names in lower case. Django's own handler sends them as they were written.
    """

    def __init__(self, app: ASGI3Application, *, raise_after_leave: bool = False, lower_case: bool = True) -> None:
        self._app = app
        self._lower_case = lower_case
        self._raise = raise_after_leave
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rig-asgi-host", daemon=True)
        self._thread.start()
        self.side_door = SideDoor()
        self.errors: list[BaseException] = []

    def open(self, target: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> ASGIStream:
        """Start a request and return its stream at once."""
        stream = ASGIStream(self)
        path, _, query = target.partition("?")
        fields = {"Host": "rig", "Accept": "*/*", **(headers or {})}
        scope: Any = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4" if self._raise else "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in fields.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        checker = Checker(lower_case=self._lower_case)
        self.call(self._spawn, stream.run(self._app, scope, checker, raise_after_leave=self._raise))
        return stream

    def log(self) -> str:
        """Return what a server would have logged: the errors that the application raised."""
        return "".join(f"Traceback\n{type(error).__name__}: {error}\n" for error in self.errors)

    def call(self, function: Any, *args: Any) -> None:
        """Run a function on the loop."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)

    def run(self, coroutine: Coroutine[Any, Any, Any], within: float = 5.0) -> Any:
        """Run a coroutine on the loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(within)

    def finished(self, stream: ASGIStream) -> None:
        """Take note of how the application ended."""
        if stream.error is not None:
            self.errors.append(stream.error)
        stream.done.set()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """End the loop; streams still open are cancelled first."""

        async def shut_down() -> None:
            # FastAPI and Starlette start worker threads per loop: let them go with it.
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()  # what a framework keeps for the loop
            await self._loop.shutdown_asyncgens()
            await self._loop.shutdown_default_executor()

        self.run(shut_down(), 15.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


async def answer_lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Say yes to start-up and shutdown, for applications without a framework."""
    while True:
        event = await receive()
        if event["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif event["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
