"""A streamkit response inside the middleware keeps its own keepalive, policy and life; nothing is done twice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Route

import streamkit
from streamkit import Event, StreamLimit, StreamPolicy, stats
from streamkit import asgi as plain
from streamkit import fastapi as for_fastapi
from streamkit import starlette as for_starlette
from streamkit.asgi import StreamingMiddleware
from tests.engine.drive import run
from tests.engine.fake_clock import FakeClock, settle
from tests.engine.lives import Ends
from tests.middleware.asgi.calls import App, Caller, around, begin, scope

CUT = StreamPolicy(drain="cut")
FINISH = StreamPolicy(drain="finish", grace=0.01)


async def silent() -> AsyncIterator[Event]:
    """Yield one event and wait."""
    yield Event("1", id="1")
    await asyncio.Event().wait()


def plain_app(**options: Any) -> App:
    """Return an ASGI app that is a streamkit response."""

    async def app(request: Any, receive: Any, send: Any) -> None:
        await plain.EventStreamResponse(silent(), **options)(request, receive, send)

    return app


def starlette_app(source: Callable[[], AsyncIterator[Event]] = silent, **options: Any) -> App:
    """Return an application of Starlette whose own middleware wraps the two callables.

    That ends any body as if it were whole before it raises what the response has raised.
    """

    async def endpoint(_request: Any) -> Any:
        return for_starlette.EventStreamResponse(source(), **options)

    app = Starlette(routes=[Route("/", endpoint)])

    async def pass_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    return app


def fastapi_app(**options: Any) -> App:
    """Return an application of FastAPI whose endpoint yields."""
    kind = type("Kind", (for_fastapi.EventStreamResponse,), options)
    app = FastAPI()

    @app.get("/", response_class=kind)
    async def endpoint() -> AsyncIterator[Event]:
        async for event in silent():
            yield event

    return app


APPS = {"asgi": plain_app, "starlette": starlette_app, "fastapi": fastapi_app}


@pytest.mark.parametrize("name", APPS)
def test_one_life_with_the_options_of_the_response(name: str) -> None:
    """The policy, limit and on_close of the middleware are not applied to it."""
    reasons: list[str] = []
    outer: list[str] = []
    limit = StreamLimit(1)

    async def main() -> None:
        caller, before = Caller(), stats()
        options = {"policy": CUT, "on_close": lambda reason, _: reasons.append(reason)}
        task = begin(
            APPS[name](**options),
            caller,
            policy=StreamPolicy(drain="finish", max_age=0.001),
            limit=limit,
            on_close=lambda reason, _: outer.append(reason),
        )
        await caller.arrived(1)
        assert stats().opened == before.opened + 1
        assert limit.open == 0
        streamkit.drain()
        await task
        assert caller.ended

    run(main())
    assert (reasons, outer) == (["drained"], [])


@pytest.mark.parametrize("name", ["asgi", "starlette"])
def test_one_keepalive(name: str) -> None:
    """The response sends its own; the middleware adds none."""
    clocked = type("Clocked", (plain.EventStreamResponse,), {"_clock": FakeClock()})

    async def app(request: Any, receive: Any, send: Any) -> None:
        if name == "asgi":
            await clocked(silent())(request, receive, send)
        else:
            await starlette_app(policy=StreamPolicy(keepalive=None))(request, receive, send)

    async def main() -> None:
        clock, caller = FakeClock(), Caller()
        task = begin(app, caller, clock=clock)
        await caller.arrived(1)
        await clock.advance(100)
        assert caller.chunks == [b"id: 1\ndata: 1\n\n"]
        if name == "asgi":
            await clocked._clock.advance(15)  # type: ignore[attr-defined]
            assert caller.chunks[1:] == [b":\n"]
        caller.leave()
        await task

    run(main())


@pytest.mark.parametrize("name", APPS)
def test_stream_that_is_cut_off_logs_no_traceback(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """What cuts it goes no further than the middleware; the body stays unfinished, so the server cuts it off."""

    async def main() -> None:
        caller = Caller()
        task = begin(APPS[name](policy=FINISH), caller)
        await caller.arrived(1)
        streamkit.drain()
        await task
        assert not caller.ended

    with caplog.at_level(logging.INFO):
        run(main())
    assert caplog.records == []


def test_body_of_a_source_that_fails_is_not_ended_by_what_stands_between() -> None:
    """Its error goes on to the server, as without the middleware."""

    async def broken() -> AsyncIterator[Event]:
        yield Event("1")
        await settle()
        raise ValueError("no")

    async def main() -> None:
        caller = Caller()
        with pytest.raises(ValueError, match="no"):
            await begin(starlette_app(broken), caller)
        assert caller.chunks == [b"data: 1\n\n"]
        assert not caller.ended

    run(main())


def test_error_of_a_source_is_raised() -> None:
    """As without the middleware."""

    async def broken() -> AsyncIterator[str]:
        yield "1"
        await settle()
        raise ValueError("no")

    async def app(request: Any, receive: Any, send: Any) -> None:
        await plain.EventStreamResponse(broken())(request, receive, send)

    async def main() -> None:
        caller = Caller()
        with pytest.raises(ValueError, match="no"):
            await begin(app, caller)
        assert not caller.ended

    run(main())


def test_adapters_export_the_same_class() -> None:
    """Chosen by import path, as the responses are."""
    assert for_starlette.StreamingMiddleware is for_fastapi.StreamingMiddleware is StreamingMiddleware


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_middleware_is_added_as_the_frameworks_want(framework: Any) -> None:
    """`app.add_middleware(StreamingMiddleware, …)`."""
    reasons: list[str] = []
    inner = starlette_app(policy=CUT)

    async def main() -> None:
        app = framework()
        app.mount("/", inner)
        app.add_middleware(StreamingMiddleware, on_close=lambda reason, _: reasons.append(reason))
        caller = Caller()
        task = asyncio.create_task(app(scope(), caller.receive, caller.send))
        await caller.arrived(1)
        streamkit.drain()
        await task
        assert caller.ended

    run(main())
    assert reasons == []


@pytest.mark.parametrize("given", [True, False])
def test_django_response_tells_by_its_request(given: bool) -> None:
    """With its request it is passed through; without one it is a stream like any other, which works too."""
    from tests.middleware.asgi.django_view import handler_of

    outer: list[str] = []

    async def main() -> None:
        caller = Caller()
        middleware = around(handler_of(silent, given=given), on_close=lambda reason, _: outer.append(reason))
        task = asyncio.create_task(middleware(scope(), caller.receive, caller.send))
        await caller.arrived(1)
        caller.leave()
        await task
        assert caller.head[1]["x-accel-buffering"] == "no"

    run(main())
    assert outer == ([] if given else ["disconnected"])


@pytest.mark.parametrize("plain", [True, False], ids=["of-django", "of-streamkit"])
def test_stream_that_django_s_middleware_has_taken_over_is_passed_through(plain: bool) -> None:
    """One life, one keepalive: also for a plain response, and for one of streamkit that was not given its request."""
    from django.test import override_settings

    from tests.middleware.asgi.django_view import handler_of, plain_handler_of
    from tests.middleware.django.site import SUBCLASS, options

    outer, inner = Ends(), Ends()

    async def main() -> None:
        caller, before = Caller(), stats()
        handler = plain_handler_of(silent) if plain else handler_of(silent, given=False)
        task = begin(handler, caller, limit=StreamLimit(1), on_close=outer)
        await caller.arrived(1)
        assert stats().opened == before.opened + 1
        caller.leave()
        await task

    with options(on_close=inner), override_settings(MIDDLEWARE=[SUBCLASS]):
        run(main())
    assert (inner.reasons, outer.reasons) == (["disconnected"] * plain, [])
