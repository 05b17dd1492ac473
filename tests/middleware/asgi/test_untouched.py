"""What does not stream passes the middleware as if it were not there."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
import trio

from streamkit import stats
from streamkit.asgi import StreamingMiddleware
from tests.engine.drive import run
from tests.engine.fake_clock import FakeClock
from tests.middleware.asgi.calls import Caller, Message, around, begin, body, call, head, scope, sending

WHOLE = {
    "whole": [head("text/html", content_length="2"), body(b"hi", more=False)],
    "whole, of unknown length": [head("text/html"), body(b"hi", more=False)],
    "whole, more_body left out": [head("text/html"), {"type": "http.response.body"}],
    "file in pieces": [head("video/mp4", content_length="2"), body(b"h"), body(b"i", more=False)],
    "file of JSON lines": [head("application/x-ndjson", content_length="2"), body(b"1"), body(b"\n", more=False)],
    "no content": [head(None, 204), body(b"", more=False)],
    "not modified": [head("text/event-stream", 304), body(b"", more=False)],
    "early hint": [{"type": "http.response.early_hint", "links": []}, head("text/html"), body(b"", more=False)],
    "push": [{"type": "http.response.push", "path": "/x", "headers": []}, head("text/html"), body(b"", more=False)],
    "trailers": [
        {**head("text/html"), "trailers": True},
        body(b"", more=False),
        {"type": "http.response.trailers", "headers": [], "more_trailers": False},
    ],
    "file by path": [head("text/html"), {"type": "http.response.pathsend", "path": "/x"}],
    "file by descriptor": [head("text/html"), {"type": "http.response.zerocopysend", "file": 3}],
    "unknown": [{"type": "http.response.new"}, head("text/html"), {"type": "http.response.newer"}],
    "body before its head": [body(b"hi"), head("text/html"), body(b"", more=False)],
    "head alone": [head("text/html")],
    "nothing": [],
}


@pytest.mark.parametrize("name", WHOLE)
def test_messages_of_a_response_without_a_stream_are_the_very_same(name: str) -> None:
    """The server gets the objects that the app has sent, all of them, in order."""

    async def main() -> None:
        caller = await call(sending(*WHOLE[name]))
        assert [id(event) for event in caller.events] == [id(message) for message in WHOLE[name]]

    opened = stats().opened
    run(main())
    assert stats().opened == opened


@pytest.mark.parametrize("kind", ["websocket", "lifespan", "telepathy"])
def test_other_scopes_pass_with_their_callables(kind: str) -> None:
    """What is no HTTP request gets the server's own scope, `receive` and `send`."""
    given: list[Any] = []

    async def app(*arguments: Any) -> None:
        given.extend(arguments)

    async def main() -> None:
        caller = Caller()
        arguments: list[Any] = [{"type": kind}, caller.receive, caller.send]
        await StreamingMiddleware(app)(*arguments)
        assert given[0] is arguments[0]
        assert given[1:] == arguments[1:]
        assert given[0] == {"type": kind}

    run(main())


def test_scope_is_the_servers_and_is_given_back_as_it_was() -> None:
    """What an app puts into its scope is seen outside, as tracing and metrics want; ours is gone at the end."""

    async def app(given: Any, _receive: Any, send: Any) -> None:
        given["route"] = "/x"
        await send(head("text/html", content_length="0"))
        await send(body(b"", more=False))

    async def main() -> None:
        caller, request = Caller(), scope()
        before = dict(request)
        await StreamingMiddleware(app)(request, caller.receive, caller.send)
        assert request == {**before, "route": "/x"}
        assert request["headers"] is before["headers"]

    run(main())


def test_request_body_passes_piece_by_piece_and_unread() -> None:
    """The app gets each piece of the request when it asks, none is asked for ahead of it."""
    pieces: list[Message] = [
        {"type": "http.request", "body": b"%d" % number, "more_body": number < 2} for number in range(3)
    ]

    async def main() -> None:
        caller = Caller(*pieces)

        async def app(_scope: Any, receive: Any, send: Any) -> None:
            for number in range(3):
                assert caller.received == number
                assert await receive() is pieces[number]
            await send(head("text/html", content_length="0"))
            await send(body(b"", more=False))

        await call(app, caller)

    run(main())


@pytest.mark.parametrize("sent", [0, 1])
def test_error_of_an_app_without_a_stream_is_raised(sent: int) -> None:
    """The server gets what the app raised, and the head that it had sent."""

    async def main() -> None:
        caller = Caller()

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            for message in [head("text/html")][:sent]:
                await send(message)
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await call(app, caller)
        assert len(caller.events) == sent

    run(main())


def test_cancellation_from_outside_is_no_business_of_ours() -> None:
    """A server that cancels a request cancels it, also while it streams."""

    async def main() -> None:
        caller = Caller()

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            await send(head())
            await asyncio.Event().wait()

        task = begin(app, caller)
        await caller.began(2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not caller.ended

    run(main())


def test_headers_that_can_be_read_once_still_reach_the_server() -> None:
    """An app may give its headers as any iterable, an iterator too."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({**head("text/html"), "headers": iter([(b"content-type", b"text/html")])})
        await send(body(b"", more=False))

    async def main() -> None:
        caller = await call(app)
        assert list(caller.events[0]["headers"]) == [(b"content-type", b"text/html")]

    run(main())


def test_trio_passes_everything_through() -> None:
    """On trio there is nothing that we could do, and a stream of the app is still a stream."""
    events: list[Any] = []

    async def send(message: Any) -> None:
        events.append(message)

    async def main() -> None:
        await StreamingMiddleware(sending(*messages))(scope(), None, send)  # type: ignore[arg-type]

    messages = [head(), body(b"data: 1\n\n"), body(b"", more=False)]
    trio.run(main)
    assert [id(event) for event in events] == [id(message) for message in messages]


@pytest.mark.parametrize(
    "options",
    [{"policy": {"max_age": 1}}, {"limit": 5}, {"on_close": "later"}],
    ids=["policy", "limit", "on_close"],
)
def test_wrong_option_is_refused_when_the_middleware_is_built(options: Any) -> None:
    """A mistake shows at the start of the server, not in the first stream."""
    with pytest.raises(TypeError, match=next(iter(options))):
        StreamingMiddleware(sending(), **options)


def test_what_is_no_app_is_refused() -> None:
    """The middleware goes around an app, and says so."""
    with pytest.raises(TypeError, match="ASGI app"):
        StreamingMiddleware("app")  # type: ignore[arg-type]


def test_head_that_was_let_go_is_kept_by_nobody() -> None:
    """A request whose head has waited for its body is forgotten, scope and all, when the moment is over."""

    class Secret:
        """In the scope, as a framework puts a session there."""

    async def main() -> None:
        clock, caller = FakeClock(), Caller()
        secret = Secret()
        middleware = around(sending(*WHOLE["whole, of unknown length"]), clock)
        await middleware(scope(session=secret), caller.receive, caller.send)
        gone = weakref.ref(secret)
        del secret
        await clock.advance(0.1)
        gc.collect()
        assert gone() is None

    run(main())
