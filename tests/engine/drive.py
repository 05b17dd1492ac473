"""The other side of a stream: a client of ASGI or WSGI whose every move a test decides. No server, no socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

import pytest

from streamkit._engine import async_pump
from streamkit._engine.clock import SYSTEM, Clock
from streamkit._engine.response import StreamOptions
from streamkit.asgi import EventStreamResponse
from streamkit.asgi import _Response as ASGIResponse
from streamkit.wsgi import EventStreamResponse as WSGIEventStream
from streamkit.wsgi import _Response as WSGIResponse
from tests.engine.fake_clock import settle

T = TypeVar("T")
LIMIT = 20
"""Seconds after which a test that waits has failed."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on an event loop of its own; fail when it takes too long or leaves a task behind."""

    async def bounded() -> T:
        async with asyncio.timeout(LIMIT):
            result = await work
            await settle()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks were left behind: {left}"
        return result

    return asyncio.run(bounded())


async def until(holds: Callable[[], bool]) -> None:
    """Wait turn by turn until something holds."""
    while not holds():  # noqa: ASYNC110 - no time passes, and nobody is asked to tell us
        await asyncio.sleep(0)


def block() -> None:
    """Block the thread for 2 ms, the least that makes an item slow beyond doubt."""
    time.sleep(0.002)


def no_item_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an async pump take every item for a quick one, however busy the machine is, and gather it."""
    monkeypatch.setattr(async_pump, "perf_counter", lambda: 0.0)


class Client:
    """A client of an ASGI app, and the server between.

    Attributes:
        events: What the app sent, in order.
        sending: How many sends have begun, whether they returned or not.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.sending = 0
        self.overlapped = False
        self.send_error: BaseException | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._left = asyncio.Event()
        self._inside = False

    async def receive(self) -> dict[str, Any]:
        """Wait until the client leaves."""
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, event: Any) -> None:
        """Take an event: at once, or when `read_on` was called after `stop_reading`."""
        self.overlapped |= self._inside
        self._inside = True
        self.sending += 1
        try:
            await self._room.wait()
            if self.send_error is not None:
                raise self.send_error
            self.events.append(event)
        finally:
            self._inside = False

    def stop_reading(self) -> None:
        """Let every send wait from now on."""
        self._room.clear()

    def read_on(self) -> None:
        """Let sends return again."""
        self._room.set()

    async def arrived(self, chunks: int) -> None:
        """Wait until so many chunks have arrived."""
        await until(lambda: len(self.chunks) >= chunks)

    async def began(self, sends: int) -> None:
        """Wait until so many sends have begun."""
        await until(lambda: self.sending >= sends)

    def leave(self) -> None:
        """Go away."""
        self._left.set()

    @property
    def head(self) -> tuple[int, dict[str, str]]:
        """The status and the headers."""
        start = self.events[0]
        return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}

    @property
    def chunks(self) -> list[bytes]:
        """The bodies of the sends that carried bytes."""
        return [event["body"] for event in self.events[1:] if event["body"]]

    @property
    def body(self) -> bytes:
        """All bytes of the body."""
        return b"".join(self.chunks)

    @property
    def ended(self) -> bool:
        """Whether the body was said to be complete."""
        return bool(self.events) and self.events[-1].get("more_body") is False


class Deaf(Client):
    """A client whose server does not hear that it is cancelled."""

    async def send(self, event: Any) -> None:
        """Return after a cancellation, as if nothing were."""
        try:
            await super().send(event)
        except asyncio.CancelledError:
            self.events.append(event)


def scope(method: str = "GET", accept: str = "*/*", query: bytes = b"") -> dict[str, Any]:
    """Return the scope of a request."""
    return {"type": "http", "method": method, "headers": [(b"accept", accept.encode())], "query_string": query}


def response(
    content: Any, *, clock: Clock = SYSTEM, kind: type[ASGIResponse] = EventStreamResponse, **options: Any
) -> ASGIResponse:
    """Return an ASGI response that lives by `clock`."""
    return _timed(kind, clock)(content, **options)


async def stream(content: Any, client: Client | None = None, **options: Any) -> Client:
    """Serve `content` to the end; return the client."""
    client = client or Client()
    await response(content, **options)(scope(), client.receive, client.send)
    return client


def start(content: Any, client: Client, **options: Any) -> asyncio.Task[None]:
    """Serve `content` in a task."""
    built = response(content, **options)
    return asyncio.create_task(built(scope(), client.receive, client.send))


class WSGIClient:
    """A client of a WSGI app, and the server between; iterate `body` to read."""

    def __init__(
        self,
        content: Any,
        *,
        threads: bool = True,
        method: str = "GET",
        accept: str = "*/*",
        clock: Clock = SYSTEM,
        kind: type[WSGIResponse] = WSGIEventStream,
        **options: Any,
    ) -> None:
        self.status = ""
        self.headers: dict[str, str] = {}
        environ = {"REQUEST_METHOD": method, "HTTP_ACCEPT": accept, "wsgi.multithread": threads}
        self.body: Any = _timed(kind, clock)(content, **options)(environ, self._start_response)

    def _start_response(self, status: str, headers: Iterable[tuple[str, str]], _exc_info: object = None) -> Any:
        self.status, self.headers = status, dict(headers)

    def read(self) -> bytes:
        """Read to the end, then close as a server does."""
        try:
            return b"".join(self.body)
        finally:
            self.close()

    def close(self) -> None:
        """Do what a server does at the end of a request, whatever its end."""
        close: Callable[[], None] | None = getattr(self.body, "close", None)
        if close is not None:
            close()


Timed = TypeVar("Timed", bound=StreamOptions)


def _timed(kind: type[Timed], clock: Clock) -> type[Timed]:
    return type(kind.__name__, (kind,), {"_clock": clock})
