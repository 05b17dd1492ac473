"""What `on_close` is told, when, and what it may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest

import streamkit
from streamkit import StreamPolicy, StreamStats
from streamkit._engine.bodies import AsyncBody
from streamkit._engine.stream import Stream
from streamkit.asgi import EventStreamResponse
from streamkit.sse import EventStream
from tests.engine.drive import Client, WSGIClient, run, scope, stream
from tests.engine.drive import response as asgi_response
from tests.engine.lives import Ends, Fed, eventually

NAME = ContextVar("NAME", default="nobody")
PROMPT = StreamPolicy(drain="cut", keepalive=None)


def test_fillers_count_as_bytes() -> None:
    """What the server took is counted, whatever it was."""
    ends = Ends()
    fed = Fed(ends.seen)
    fed.put("a")
    client = WSGIClient(fed.asynchronous(), policy=StreamPolicy(keepalive=0.01), on_close=ends)
    body = b""
    while body.count(b":\n") < 3:
        body += next(client.body)
    fed.finish()
    body += b"".join(client.body)
    client.close()
    assert ends.reasons == ["completed"]
    assert ends.told[0][1].bytes == len(body)


def test_on_close_that_raises_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, with its traceback."""

    def on_close(reason: str, stats: StreamStats) -> None:
        raise LookupError("metrics are down")

    assert WSGIClient(["a"], on_close=on_close).read() == b"data: a\n\n"
    run(stream(["a"], on_close=on_close))
    assert [(record.levelname, bool(record.exc_info)) for record in caplog.records] == [("ERROR", True)] * 2
    assert "on_close" in caplog.text
    assert streamkit.stats().open == 0
    caplog.clear()


def test_on_close_sees_the_context_of_the_view() -> None:
    """What it sets there is its own."""
    names: list[str] = []

    def on_close(reason: str, stats: StreamStats) -> None:
        names.append(NAME.get())
        NAME.set("changed")

    async def work() -> None:
        NAME.set("ann")
        built = EventStreamResponse(["a"], on_close=on_close)
        NAME.set("bob")
        client = Client()
        await built(scope(), client.receive, client.send)
        assert NAME.get() == "bob"

    run(work())
    assert names == ["ann"]


def test_on_close_as_a_class_attribute_is_no_method() -> None:
    """A plain function as an app's default is given the reason and the figures alone; a method is a method."""
    reasons: list[tuple[object, ...]] = []

    class WithFunction(EventStreamResponse):
        on_close = lambda reason, stats: reasons.append((reason, stats.frames))  # type: ignore[assignment]  # noqa: E731

    class WithMethod(EventStreamResponse):
        def on_close(self, reason: str, stats: StreamStats) -> None:
            reasons.append((type(self).__name__, reason))

    for kind in WithFunction, WithMethod:
        run(stream(["a"], kind=kind))
    assert reasons == [("completed", 1), ("WithMethod", "completed")]


@pytest.mark.parametrize("wrong", ["log", 5, pytest.param(None, id="coroutine")])
def test_on_close_must_be_a_plain_function(wrong: object) -> None:
    """A coroutine function would never run."""

    async def asynchronous(reason: str, stats: StreamStats) -> None:
        """Do nothing."""

    with pytest.raises(TypeError, match="on_close must be a plain function"):
        EventStreamResponse([], on_close=wrong or asynchronous)  # type: ignore[arg-type]


def test_stream_that_never_was_ends_for_nobody() -> None:
    """HEAD, a refusal, and a response that nobody serves."""
    ends = Ends()
    limit = streamkit.StreamLimit(1)
    before = streamkit.stats()
    fed = Fed()
    holder = WSGIClient(fed.sync(), limit=limit)
    for method in "HEAD", "GET":
        WSGIClient(["a"], method=method, on_close=ends, limit=limit).read()

    async def work() -> None:
        for method in "HEAD", "GET":
            client = Client()
            built = asgi_response(["a"], on_close=ends, limit=limit)
            await built(scope(method), client.receive, client.send)
        EventStreamResponse(["a"], on_close=ends)._discard()
        EventStreamResponse(["a"], on_close=ends)

    run(work())
    assert ends.told == []
    fed.finish()
    holder.read()
    assert streamkit.stats().opened == before.opened + 1


def test_stream_that_fails_before_its_head_has_ended() -> None:
    """It was started, so somebody may have counted it."""
    ends = Ends()

    async def refused() -> AsyncIterator[str]:
        raise PermissionError
        yield

    with pytest.raises(PermissionError):
        run(stream(refused(), on_close=ends))
    assert ends.reasons == ["error"]


def test_client_that_leaves_right_after_the_last_item_has_everything() -> None:
    """A page that closes its EventSource on the end item completes the stream."""
    ends = Ends()

    async def work() -> None:
        client = Client()

        async def send(event: Any) -> None:
            await client.send(event)
            if b"end" in event.get("body", b""):
                client.leave()

        fed = Fed()
        fed.put("a")
        fed.finish()
        built = asgi_response(fed.asynchronous(), on_close=ends, end="end")
        await built(scope(), client.receive, send)

    run(work())
    assert ends.reasons == ["completed"]


def test_abandoned_bodies_have_an_end() -> None:
    """Some servers forget to close."""
    ends = Ends()
    for threads in True, False:
        fed = Fed()
        fed.put("a")
        client = WSGIClient(fed.sync(), threads=threads, on_close=ends)
        next(client.body)
        next(client.body)
        del client
        fed.finish()
    assert ends.reasons == ["disconnected"] * 2


def test_stream_that_is_told_to_end_twice_keeps_its_first_reason() -> None:
    """And a stream that has ended is told nothing."""
    ends = Ends()
    fed = Fed()
    client = WSGIClient(fed.asynchronous(), on_close=ends, key="ann", policy=PROMPT)
    fed.put("a")
    next(client.body)
    next(client.body)
    life = client.body._stream.life
    assert streamkit.drain() == 1
    assert streamkit.close_streams("ann") == 1
    list(client.body)
    client.close()
    life.end("closed")
    life.drain("max_age")
    life.close("error")
    assert ends.reasons == ["drained"]
    assert life.reason == "drained"


@pytest.mark.parametrize("drain", ["serve", "host"])
def test_server_that_cancels_the_cleanup_leaves_no_stream_open(drain: str) -> None:
    """The stream is told of although its source is still being closed."""
    ends, go_on = Ends(), asyncio.Event()

    async def items() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            ends.seen.append("closing")
            await go_on.wait()

    async def host() -> None:
        built = Stream(items())
        built.bind(format=EventStream(), policy=StreamPolicy(), on_close=ends)
        async for _ in AsyncBody(built):
            pass

    async def work() -> None:
        client = Client()
        built = asgi_response(items(), on_close=ends)
        task = asyncio.create_task(host() if drain == "host" else built(scope(), client.receive, client.send))
        await eventually(lambda: streamkit.stats().frames > before)
        task.cancel()
        await eventually(lambda: ends.seen)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ends.reasons == ["disconnected"]
        go_on.set()
        if drain == "host":
            built._discard()

    before = streamkit.stats().frames
    run(work())
