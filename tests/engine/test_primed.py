"""primed: the real pump starts in the view and waits at its first item for a response."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from streamkit import Event
from streamkit._engine.bodies import AsyncBody
from streamkit.asgi import primed
from streamkit.sse import EventStream
from tests.engine.drive import Client, WSGIClient, run, start, stream, until
from tests.engine.sources import MODES, POLICY, Source

END = Event("", event="done")
WHOLE = b"retry: 5\ndata: a\n\ndata: b\n\nevent: done\ndata: \n\n"


@MODES
def test_primed_source_is_streamed_whole_on_asgi(mode: str) -> None:
    """The item that the view waited for is sent first, by the options of the response."""

    async def work() -> None:
        source = Source()
        content = await primed(getattr(source, mode)())
        assert source.seen == ["a"]
        client = await stream(content, policy=POLICY, end=END)
        assert client.body == WHOLE
        assert source.seen == ["a", "b", "closed"]

    run(work())


@MODES
def test_primed_source_is_streamed_whole_on_wsgi(mode: str) -> None:
    """In a sync view it waits in the view's thread and needs no await."""
    source = Source()
    content = primed(getattr(source, mode)())
    assert source.seen == ["a"]
    assert WSGIClient(content, policy=POLICY, end=END).read() == WHOLE


def test_primed_source_is_streamed_whole_by_a_host_that_awaits() -> None:
    """The body releases what the view has started."""

    async def work() -> None:
        content = await primed(Source().asynchronous())
        built = content._claim()
        built.bind(format=EventStream(), policy=POLICY, end=END)

        assert b"".join([chunk async for chunk in AsyncBody(built)]) == WHOLE

    run(work())


async def refuse() -> AsyncIterator[str]:
    """Raise before the first item."""
    await asyncio.sleep(0)
    raise PermissionError
    yield


def sync_refuse() -> Iterator[str]:
    """Raise before the first item."""
    raise PermissionError
    yield


def test_error_before_the_first_item_is_raised_in_the_view() -> None:
    """Whatever the host makes of a PermissionError, it can still make of it."""

    async def work() -> None:
        for source in refuse, sync_refuse:
            with pytest.raises(PermissionError):
                await primed(source())

    run(work())
    for source in refuse, sync_refuse:
        with pytest.raises(PermissionError):
            primed(source())


def test_error_that_is_no_exception_does_not_hold_the_view() -> None:
    """A source cancelled from inside has failed; the view goes on at once, and the stream says so."""

    async def cancelled() -> AsyncIterator[str]:
        raise asyncio.CancelledError
        yield

    async def work() -> None:
        content = await primed(cancelled(), timeout=60)
        with pytest.raises(RuntimeError, match="cancelled from inside"):
            await stream(content)

    run(work())


@pytest.mark.parametrize("source", [[], iter(())])
def test_source_without_items_is_primed_too(source: Any) -> None:
    """An empty stream is a stream."""
    assert WSGIClient(primed(source), end=END).read() == b"event: done\ndata: \n\n"

    async def nothing() -> AsyncIterator[str]:
        return
        yield

    async def work() -> None:
        assert (await stream(await primed(nothing()))).body == b""

    run(work())


def test_slow_source_is_streamed_as_any_other() -> None:
    """After `timeout` seconds the view goes on; an error is then one of the body."""

    async def work() -> None:
        gate = asyncio.Event()

        async def slow() -> AsyncIterator[str]:
            await gate.wait()
            yield "late"
            raise ValueError("late")

        content = await primed(slow(), timeout=0.001)
        client = Client()
        task = start(content, client)
        await until(lambda: bool(client.events))
        gate.set()
        with pytest.raises(ValueError, match="late"):
            await task
        assert client.body == b"data: late\n\n"

    run(work())
    gate = threading.Event()

    def slow() -> Iterator[str]:
        gate.wait(5)
        yield "late"

    content = primed(slow(), timeout=0.001)
    gate.set()
    assert WSGIClient(content).read() == b"data: late\n\n"
