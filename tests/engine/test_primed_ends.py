"""Primed sources that nobody serves, or that are used in a wrong way."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamkit import asgi, wsgi
from streamkit._engine.loop_pump import LoopPump
from streamkit._engine.prime import Primed
from streamkit._engine.stream import Stream
from streamkit.asgi import primed
from streamkit.sse import EventStream
from tests.engine.drive import Client, WSGIClient, run, start, until
from tests.engine.fake_clock import settle
from tests.engine.sources import MODES, POLICY, Source


@MODES
@pytest.mark.parametrize("until_when", ["primed", "built", "answered HEAD", "refused"])
def test_primed_source_that_is_never_served_is_closed(mode: str, until_when: str) -> None:
    """Whether no response took it, or the response was thrown away or answered without it."""
    source = Source()

    async def work() -> None:
        content = await primed(getattr(source, mode)())
        if until_when == "primed":
            return
        if until_when == "refused":
            with pytest.raises(TypeError):
                asgi.EventStreamResponse(content, policy=5)  # type: ignore[arg-type]
            return
        built = asgi.EventStreamResponse(content)
        if until_when == "answered HEAD":
            await built({"type": "http", "method": "HEAD", "headers": []}, Client().receive, Client().send)

    async def bounded() -> None:
        await work()
        gc.collect()
        while source.seen[-1] != "closed":  # noqa: ASYNC110 - a thread may have to end first
            await asyncio.sleep(0.001)

    run(bounded())
    assert source.seen == ["a", "closed"]


def test_forgotten_await_is_refused_and_the_source_is_closed() -> None:
    """The response asks for it by name."""

    async def work() -> None:
        source = Source()
        with pytest.raises(TypeError, match=r"primed\(…\) that was not awaited: did you forget await\?"):
            asgi.EventStreamResponse(primed(source.asynchronous()))
        await settle()

    run(work())


def test_primed_source_is_served_once() -> None:
    """A second response would have nothing to send."""
    content = primed(Source().sync())
    assert WSGIClient(content).read() == b"data: a\n\ndata: b\n\n"
    with pytest.raises(RuntimeError, match="given to a response already"):
        wsgi.EventStreamResponse(content)


def test_view_that_is_cancelled_while_it_waits_closes_the_source() -> None:
    """The client left before there was a response."""

    async def work() -> None:
        closed: list[bool] = []

        async def slow() -> AsyncIterator[str]:
            try:
                await asyncio.Event().wait()
                yield "never"
            finally:
                closed.append(True)

        async def view() -> Primed:
            return await primed(slow())

        task = asyncio.create_task(view())
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await settle()
        assert closed == [True]

    run(work())


@pytest.mark.parametrize("content", ["text", None, {"a": 1}])
def test_content_that_cannot_be_streamed_cannot_be_primed(content: Any) -> None:
    """The same TypeError as without it."""
    with pytest.raises(TypeError, match="content"):
        primed(content)


def test_client_that_leaves_closes_a_primed_source() -> None:
    """Also where its pump runs on the loop of the view."""

    async def work() -> None:
        source = Source()

        async def endless() -> AsyncIterator[str]:
            async for item in source.asynchronous():
                yield item
            await asyncio.Event().wait()

        client = Client()
        task = start(await primed(endless()), client)
        await until(lambda: client.body == b"data: a\n\ndata: b\n\n")
        client.leave()
        await task

    run(work())


def test_pump_that_was_stopped_before_it_began_starts_nothing() -> None:
    """A client that left meanwhile costs nothing but the closing."""

    async def work() -> None:
        source = Source()
        built = Stream(source.asynchronous())
        built.bind(format=EventStream(), policy=POLICY)
        pump = LoopPump(built, asyncio.get_running_loop())
        pump.stop()
        await settle()
        assert pump.over.ended
        assert source.seen == []

    run(work())
