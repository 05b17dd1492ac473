"""No wait is without a bound, and what a test is told then says what it asked for and what had arrived."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import flask
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from streamkit import Event, StreamPolicy, asgi, close_streams, wsgi
from streamkit.errors import StreamCutError
from streamkit.testing import (
    AsyncOpenStream,
    NotAStreamError,
    OpenStream,
    StreamEndedError,
    StreamTimeoutError,
    open_stream,
)

APPS = {"wsgi": wsgi, "asgi": asgi}
SOON = 0.2
"""Seconds of a wait that is to fail."""


@contextmanager
def hurried(events: OpenStream | AsyncOpenStream) -> Iterator[None]:
    """Wait no longer than SOON, now that all has arrived that there will be."""
    before, events._timeout = events._timeout, SOON
    try:
        yield
    finally:
        events._timeout = before


async def one_and_silence() -> AsyncIterator[str]:
    """Yield once."""
    yield "a"
    await asyncio.Event().wait()


@pytest.mark.parametrize("adapter", APPS.values(), ids=list(APPS))
@pytest.mark.parametrize(
    ("ask", "wanted"),
    [
        (lambda events: events.take(3), "take(3)"),
        (lambda events: events.until(event="done"), "until(event='done')"),
        (list, "the next item"),
        (lambda events: events.read(), "the end of the body"),
        (lambda events: events.wait_closed(), "the end of the stream"),
        (lambda events: [events.keepalive() for _ in range(2)], "a keepalive"),
    ],
)
def test_endless_stream_hangs_no_test(adapter: Any, ask: Callable[[Any], Any], wanted: str) -> None:
    """The error is an AssertionError with what was asked for and what had arrived."""
    app = adapter.EventStreamResponse(one_and_silence(), policy=StreamPolicy(keepalive=None))
    with open_stream(app, "GET", "/", timeout=20) as events:
        assert events.take() == [Event("a")]
        with hurried(events), pytest.raises(AssertionError) as raised:
            ask(events)
    assert isinstance(raised.value, StreamTimeoutError)
    assert str(raised.value).startswith(f"{wanted} did not come within 0.2 s; what had arrived: status 200, text/event")
    assert r"b'data: a\n\n'" in str(raised.value)


def test_head_that_does_not_come_is_waited_for_as_long() -> None:
    """An app that never answers is left again."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"

    with (
        pytest.raises(StreamTimeoutError, match=r"^the head .* within 0.2 s; nothing had arrived$"),
        open_stream(app, "GET", "/", timeout=SOON),
    ):
        pass


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_time_that_is_over_before_the_app_was_called_is_a_timeout(interface: str) -> None:
    """As where the machine stalls: the app is left all the same."""

    async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
        assert [(await receive())["type"] for _ in range(2)] == ["http.request", "http.disconnect"]

    def wsgi_app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return []

    app: Any = {"asgi": asgi_app, "wsgi": wsgi_app}[interface]
    with pytest.raises(StreamTimeoutError, match="the head"), open_stream(app, "GET", "/", timeout=1e-9):
        pass


def test_app_that_stays_when_its_client_has_left_is_given_up() -> None:
    """The error says so; an ASGI app is cancelled."""
    ended = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.Event().wait()
        finally:
            ended.set()

    with open_stream(app, "GET", "/", timeout=20) as events:
        assert events.take() == ["x"]
        with (
            hurried(events),
            pytest.raises(StreamTimeoutError, match=r"did not end within 0.2 s of its client's leaving; .*'x'"),
        ):
            events.disconnect()
        assert ended.wait(10)


def test_error_of_the_test_is_not_hidden_by_that_of_leaving() -> None:
    """What the test itself found comes first."""
    gate = threading.Event()

    def stuck() -> Iterator[str]:
        yield "a"
        gate.wait(20)

    def test() -> None:
        app = wsgi.EventStreamResponse(stuck(), policy=StreamPolicy(keepalive=None))
        with open_stream(app, "GET", "/", timeout=20) as events:
            assert events.take() == [Event("a")]
            events._timeout = SOON  # of leaving
            raise LookupError

    with pytest.raises(LookupError):
        test()
    gate.set()


def test_stream_that_ends_before_is_said_to_have() -> None:
    """With the reason."""
    with open_stream(wsgi.NDJSONResponse([1, 2]), "GET", "/") as events:
        with pytest.raises(
            StreamEndedError, match=r"^take\(3\) did not come: the stream ended, completed; .*: \[1, 2\]"
        ):
            events.take(3)
        assert events.take(2) == [1, 2]


def test_cause_of_the_end_is_what_the_app_raised() -> None:
    """The traceback of the source is in the report of the test."""

    def failing() -> Iterator[str]:
        yield "a"
        raise LookupError("gone")

    app = wsgi.EventStreamResponse(failing(), policy=StreamPolicy(keepalive=None))
    with open_stream(app, "GET", "/") as events:
        assert next(events) == Event("a")
        with pytest.raises(StreamEndedError, match=r"error with LookupError\('gone'\)") as raised:
            next(events)
        assert isinstance(raised.value.__cause__, LookupError)
        assert events.closed_reason == "error"


@pytest.mark.parametrize("adapter", APPS.values(), ids=list(APPS))
def test_stream_that_was_cut_is_no_whole_answer(adapter: Any) -> None:
    """A logout ends it; an iteration raises, and the reason is the engine's."""
    app = adapter.NDJSONResponse(one_and_silence(), key="ann")
    with open_stream(app, "GET", "/") as events:
        assert events.take() == ["a"]
        assert close_streams("ann") == 1
        with pytest.raises(StreamEndedError, match="the stream ended, closed"):
            list(events)
        assert events.closed_reason == "closed"
        assert isinstance(events.error, StreamCutError)


def test_error_response_is_usable_and_has_no_items() -> None:
    """Status and body can be looked at; who asks for items is shown both."""

    async def view(request: Any) -> Any:
        return JSONResponse({"detail": "no"}, 403)

    with open_stream(TestClient(Starlette(routes=[Route("/", view)])), "GET", "/") as events:
        assert events.status_code == 403
        for ask in (events.take, events.__next__):
            with pytest.raises(NotAStreamError, match=r"^status 403, application/json: b'{\"detail\":\"no\"}'$"):
                ask()
        assert events.read() == b'{"detail":"no"}'
        assert events.closed_reason == "completed"


def test_response_without_a_body_has_no_items() -> None:
    """As a 204, which tells EventSource to stop, has none."""
    with open_stream(wsgi.TextStreamResponse([], 204), "GET", "/") as events:
        assert list(events) == []


def test_error_of_the_app_before_its_head_is_raised_as_it_is() -> None:
    """As the framework's own test client does."""

    def app(environ: Any, start_response: Any) -> Any:
        raise LookupError("in the view")

    with pytest.raises(LookupError, match="in the view"), open_stream(app, "GET", "/"):
        pass


async def _foreign(request: Any) -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b"data: a\n\n"
            await asyncio.sleep(0)

    return StreamingResponse(body(), media_type="text/event-stream")


def test_stream_of_another_library_is_read_and_left_as_well() -> None:
    """Its reason is what a server sees."""
    client = TestClient(Starlette(routes=[Route("/", _foreign)]))
    with open_stream(client, "GET", "/") as events:
        assert events.take(3) == [Event("a")] * 3
        events.disconnect()
        assert events.closed_reason == "disconnected"


def test_two_streams_have_each_their_own_reason() -> None:
    """They may be open at once."""
    with open_stream(asgi.NDJSONResponse(one_and_silence()), "GET", "/") as first:
        with open_stream(asgi.NDJSONResponse([1]), "GET", "/") as second:
            assert list(second) == [1]
            assert (second.closed_reason, first.closed_reason) == ("completed", None)
        first.disconnect()
        assert first.closed_reason == "disconnected"


def test_wrong_arguments_are_named() -> None:
    """What is no client, a client that has to be awaited, one that talks to a server, a bound that is none."""
    with pytest.raises(TypeError, match="takes a test client or an app, not 7"), open_stream(7, "GET", "/"):
        pass
    transport = httpx.ASGITransport(app=_headless)
    waiting = httpx.AsyncClient(transport=transport, base_url="http://test")
    with (
        pytest.raises(TypeError, match="AsyncClient is asynchronous: write `async with"),
        open_stream(waiting, "GET", "/"),
    ):
        pass
    with httpx.Client() as real, pytest.raises(TypeError, match="talks to a server"), open_stream(real, "GET", "/"):
        pass
    with pytest.raises(ValueError, match="timeout must be seconds above 0, not 0"):
        open_stream(waiting, "GET", "/", timeout=0)
    with pytest.raises(TypeError, match=r"clock must be one of fake_clock\(\), not 5"):
        open_stream(waiting, "GET", "/", clock=5)  # type: ignore[arg-type]
    with open_stream(wsgi.NDJSONResponse([1]), "GET", "/") as events:
        with pytest.raises(TypeError, match="an item, a function"):
            events.until()
        with pytest.raises(ValueError, match=r"take\(\) takes a number of items from 0; got -1"):
            events.take(-1)
        with pytest.raises(TypeError, match="event, data and id of an event, not 'type'"):
            events.until(type="done")
        with pytest.raises(StreamEndedError, match=r"until\(event='done'\) did not come: .* completed"):
            events.until(event="done")  # a line has no type


def test_session_of_the_client_is_sent_and_kept() -> None:
    """Cookies go both ways, as with the client's own requests."""
    app = flask.Flask("tests")
    app.secret_key = "not one"

    @app.get("/")
    def view() -> Any:
        flask.session["count"] = flask.session.get("count", 0) + 1
        return wsgi.NDJSONResponse([flask.session["count"]])

    client = app.test_client()
    for count in (1, 2):
        with open_stream(client, "GET", "/") as events:
            assert events.take() == [count]
    assert next(client.get("/").iter_encoded()) == b""


def test_app_without_a_signature_is_one_for_wsgi() -> None:
    """As one that was compiled may be."""

    class Compiled:
        __signature__ = "none"

        def __call__(self, environ: Any, start_response: Any) -> Any:
            return wsgi.NDJSONResponse([1])(environ, start_response)

    with open_stream(Compiled(), "GET", "/") as events:
        assert list(events) == [1]


async def _twice(scope: Any, receive: Any, send: Any) -> None:
    for _ in range(2):
        await send({"type": "http.response.start", "status": 200, "headers": []})


async def _headless(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.body", "body": b"x"})


async def _endless(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for _ in range(2):
        await send({"type": "http.response.body", "body": b"x"})


def _twice_wsgi(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    start_response("200 OK", [])


def _headless_wsgi(environ: Any, start_response: Any) -> Any:
    return [b"x"]


@pytest.mark.parametrize(
    ("app", "fault"),
    [
        (_twice, "a second http.response.start"),
        (_headless, "a body before the head"),
        (_endless, "a body after its end"),
        (_twice_wsgi, "start_response a second time"),
        (_headless_wsgi, "a body before it called start_response"),
    ],
)
def test_app_that_breaks_its_interface_is_told(app: Any, fault: str) -> None:
    """As a server would; before the head the test is, too."""

    def error() -> BaseException | None:
        try:
            with open_stream(app, "GET", "/") as events:
                events.wait_closed()
                return events.error
        except RuntimeError as before_head:
            return before_head

    assert fault in str(error())


def test_app_that_answers_nothing_is_no_stream() -> None:
    """It is said, in sync tests and in async ones."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        return

    async def test() -> None:
        async with open_stream(app, "GET", "/"):
            pass

    with pytest.raises(StreamEndedError, match="no response"), open_stream(app, "GET", "/"):
        pass
    with pytest.raises(StreamEndedError, match="no response"):
        asyncio.run(test())


def test_async_stream_is_searched_read_and_bounded_alike() -> None:
    """What the sync one does, awaited; an error of the test comes before one of leaving."""

    async def test() -> None:
        app: Any = asgi.EventStreamResponse([Event("a"), Event("b", event="done"), Event("c")])
        async with open_stream(app, "GET", "/") as events:
            assert await events.until(event="done") == [Event("a"), Event("b", event="done")]
            assert (await events.read()).endswith(b"data: c\n\n")
            assert [event async for event in events] == [Event("c")]
        async with open_stream(asgi.NDJSONResponse(one_and_silence()), "GET", "/", timeout=20) as events:
            assert await events.take() == ["a"]
            with hurried(events), pytest.raises(StreamTimeoutError, match=r"take\(2\)"):
                await events.take(2)

    asyncio.run(test())


def test_app_may_write_by_the_function_that_start_response_gives() -> None:
    """The old way of PEP 3333."""

    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"a")
        return [b"b"]

    with open_stream(app, "GET", "/") as events:
        assert list(events) == ["a", "b"]
