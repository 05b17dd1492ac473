"""Every end has a reason, told once, after the source was closed, by every drain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest

import streamkit
from streamkit import Event, StreamCutError, StreamPolicy, StreamStats
from streamkit._engine.bodies import AsyncBody
from streamkit._engine.stream import Stream
from streamkit.sse import EventStream
from tests.engine.drive import Client, WSGIClient, run, scope
from tests.engine.drive import response as asgi_response
from tests.engine.lives import Ends, Fed, eventually, wait_for

PROMPT = StreamPolicy(drain="cut", keepalive=None)
READER: dict[str, Any] = {"accept": "text/event-stream"}


class Failing:
    """Fails after one item, sync or async."""

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def sync(self) -> Iterator[str]:
        """Yield one item."""
        try:
            yield "a"
            raise ValueError("secret")
        finally:
            self.seen.append("closed")

    async def asynchronous(self) -> AsyncIterator[str]:
        """Yield one item."""
        try:
            yield "a"
            await asyncio.sleep(0)
            raise ValueError("secret")
        finally:
            self.seen.append("closed")


async def on_asgi(content: Any, leave: Callable[[Client], object] | None = None, **options: Any) -> None:
    """Serve by `serve`; once an item has arrived, call `leave`."""
    client = Client()
    built = asgi_response(content, **options)
    task = asyncio.create_task(built(scope(**READER), client.receive, client.send))
    if leave is not None:
        await eventually(lambda: client.body)
        leave(client)
    await task


async def by_host(content: Any, leave: Callable[[AsyncBody], object] | None = None, **options: Any) -> None:
    """Iterate as Django does under ASGI; once an item has arrived, call `leave` or go."""
    stream = Stream(content)
    stream.bind(format=EventStream(), **{"policy": StreamPolicy(), **options})
    body = AsyncBody(stream)
    async for chunk in body:
        if chunk and leave is not None:
            if leave(body) == "gone":
                break
            leave = None
    await body.aclose()


def on_wsgi(
    content: Any, leave: Callable[[WSGIClient], object] | None = None, *, threads: bool, **options: Any
) -> None:
    """Read as a WSGI server does; once an item has arrived, call `leave` or go."""
    client = WSGIClient(content, threads=threads, **READER, **options)
    try:
        for chunk in client.body:
            if b"data" in chunk and leave is not None:
                if leave(client) == "gone":
                    break
                leave = None
    finally:
        client.close()


async def in_thread(threads: bool, *args: Any, **options: Any) -> None:
    """Do `on_wsgi` beside the loop."""
    await asyncio.to_thread(partial(on_wsgi, *args, threads=threads, **options))


DRAINS = {
    "serve-async": (on_asgi, "asynchronous"),
    "serve-sync": (on_asgi, "sync"),
    "host-async": (by_host, "asynchronous"),
    "host-sync": (by_host, "sync"),
    "wsgi-loop": (partial(in_thread, True), "asynchronous"),
    "wsgi-thread": (partial(in_thread, True), "sync"),
    "wsgi-inline": (partial(in_thread, False), "sync"),
}
EVERYWHERE = pytest.mark.parametrize(("drain", "mode"), DRAINS.values(), ids=DRAINS)


def gone(reader: Any) -> str:
    """Be a client that leaves."""
    if isinstance(reader, Client):
        reader.leave()
    return "gone"


def told(ends: Ends, reason: str) -> StreamStats:
    """Check that `on_close` was called once, last, for `reason`; return the figures."""
    assert ends.reasons == [reason]
    assert ends.seen[-2:] == ["closed", "on_close"]
    return ends.told[0][1]


@EVERYWHERE
def test_stream_that_was_read_to_its_end_is_completed(drain: Any, mode: str) -> None:
    """The figures are those of the whole stream."""
    ends = Ends()
    fed = Fed(ends.seen)
    fed.put("a", "b")
    fed.finish()
    run(drain(getattr(fed, mode)(), on_close=ends, key="ann", end="end"))
    stats = told(ends, "completed")
    sent = len(b"data: a\n\ndata: b\n\ndata: end\n\n")
    assert stats.bytes in {sent, sent + len(b":\n")}  # inline the filler goes out with the head
    assert stats.frames in {2, 3}
    assert stats.key == "ann"
    assert stats.age >= stats.slowest_flush > 0


@EVERYWHERE
def test_stream_that_its_client_left_is_disconnected(drain: Any, mode: str) -> None:
    """However the drain hears of it."""
    ends = Ends()
    fed = Fed(ends.seen)
    fed.put("a")

    run(drain(getattr(fed, mode)(), gone, on_close=ends))
    if mode == "asynchronous":
        told(ends, "disconnected")
    fed.finish()  # lets a thread out, for which nobody has waited
    wait_for(lambda: "closed" in ends.seen)
    assert ends.reasons == ["disconnected"]


@EVERYWHERE
def test_stream_whose_source_failed_ended_by_an_error(drain: Any, mode: str) -> None:
    """Whether the connection is cut or `on_error` has the last word."""
    ends = Ends()
    with pytest.raises(ValueError, match="secret"):
        run(drain(getattr(Failing(ends.seen), mode)(), on_close=ends))
    told(ends, "error")


@EVERYWHERE
def test_error_that_on_error_handles_is_still_one(drain: Any, mode: str, caplog: pytest.LogCaptureFixture) -> None:
    """The body ends cleanly, and the reason is that it failed."""
    ends = Ends()
    run(drain(getattr(Failing(ends.seen), mode)(), on_close=ends, on_error=lambda exc: Event("", event="failed")))
    told(ends, "error")
    caplog.clear()


@EVERYWHERE
def test_stream_that_was_drained_says_so(drain: Any, mode: str) -> None:
    """A shutdown is not the client's doing."""
    ends = Ends()
    fed = Fed(ends.seen)
    fed.put("a")

    def leave(_: Any) -> None:
        assert streamkit.drain() == 1
        fed.put("b")

    run(drain(getattr(fed, mode)(), leave, on_close=ends, policy=PROMPT, end="end"))
    fed.finish()
    wait_for(lambda: "closed" in ends.seen)
    assert ends.reasons == ["drained"]


@EVERYWHERE
def test_stream_that_was_closed_by_its_key_says_so(drain: Any, mode: str) -> None:
    """It may not be cut cleanly here, so the host is raised an error to."""
    ends = Ends()
    fed = Fed(ends.seen)
    fed.put("a")

    def leave(_: Any) -> None:
        assert streamkit.close_streams("ann") == 1
        fed.put("b")

    with pytest.raises(StreamCutError, match="closed"):
        run(drain(getattr(fed, mode)(), leave, on_close=ends, key="ann"))
    fed.finish()
    wait_for(lambda: "closed" in ends.seen)
    assert ends.reasons == ["closed"]
