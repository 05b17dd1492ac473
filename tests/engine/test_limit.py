"""Limits on open streams: who is refused, how, and that every end makes room again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamkit import (
    NDJSON,
    StreamCutError,
    StreamLimit,
    StreamPolicy,
    TooManyStreamsError,
    close_streams,
    drain,
    set_max_threads,
    stats,
)
from streamkit._engine import background
from streamkit.asgi import EventStreamResponse, _Response
from streamkit.wsgi import NDJSONResponse
from tests.engine.drive import LIMIT, Client, WSGIClient, run, scope
from tests.engine.drive import response as asgi_response
from tests.engine.lives import Fed, eventually
from tests.engine.sources import Gated

SSE = "text/event-stream"


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "5", None])
def test_limit_is_a_number_of_at_least_one(wrong: Any) -> None:
    """The error names what is wrong."""
    with pytest.raises(ValueError, match=r"StreamLimit\.total must be an int of at least 1"):
        StreamLimit(wrong)
    if wrong is not None:
        with pytest.raises(ValueError, match=r"StreamLimit\.per_key must be an int of at least 1"):
            StreamLimit(5, per_key=wrong)


def test_limit_of_a_response_must_be_one() -> None:
    """A bare number would count nothing."""
    with pytest.raises(TypeError, match=r"limit must be a StreamLimit\(…\), not 5"):
        EventStreamResponse([], limit=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "accept", "format", "status"),
    [
        ("GET", SSE, None, 200),
        ("GET", "*/*", None, 503),
        ("POST", SSE, None, 503),
        ("GET", SSE, NDJSON(), 503),
    ],
)
def test_stream_over_the_limit_is_refused_before_its_source_starts(
    method: str, accept: str, format: Any, status: int
) -> None:
    """A browser's EventSource is told when to come back by 200, any other client by 503; on both protocols."""
    limit, fed = StreamLimit(1), Fed()
    holder = WSGIClient(fed.asynchronous(), limit=limit)
    options = {"limit": limit} if format is None else {"limit": limit, "format": format}
    refused = Gated()
    kind = {} if format is None else {"kind": NDJSONResponse}
    client = WSGIClient(refused.items(), method=method, accept=accept, **kind, **options)  # type: ignore[arg-type]
    bodies = [(int(client.status[:3]), client.headers.get("Retry-After"), client.read())]

    async def work() -> None:
        client = Client()
        built = asgi_response(refused.items(), kind=_Response, **options)
        await built(scope(method, accept), client.receive, client.send)
        assert client.ended
        bodies.append((client.head[0], client.head[1].get("retry-after"), client.body))

    run(work())
    for got, retry_after, body in bodies:
        assert got == status
        if status == 200:
            assert 2_000 <= int(body.removeprefix(b"retry: ")) <= 10_000
        else:
            assert 2 <= int(retry_after or "") <= 10
            assert b"(1)" in body
    assert refused.seen == []
    assert limit.open == 1
    fed.finish()
    holder.read()
    assert limit.open == 0


def test_key_has_a_limit_of_its_own() -> None:
    """One user's tabs do not use up everybody's streams; streams without a key have only the total."""
    limit, fed = StreamLimit(4, per_key=1), Fed()
    clients = [WSGIClient(fed.asynchronous(), limit=limit, key=key) for key in ("ann", "bob", None, None)]
    assert [client.status for client in clients] == ["200 OK"] * 4
    ann = WSGIClient(["a"], limit=limit, key="ann")
    assert b"(4)" in ann.read()
    clients.pop().close()
    ann = WSGIClient(["a"], limit=limit, key="ann")
    assert b"(1)" in ann.read()
    assert WSGIClient(["a"], limit=limit, key="cyd").read() == b"data: a\n\n"
    for client in clients:
        client.close()
    assert limit.open == 0
    assert WSGIClient(["a"], limit=limit, key="ann").read() == b"data: a\n\n"


def test_limit_as_a_class_attribute_counts_together() -> None:
    """One object for all streams of a class."""

    class News(EventStreamResponse):
        limit = StreamLimit(1)

    async def work() -> None:
        fed, first, second = Fed(), Client(), Client()
        task = asyncio.create_task(News(fed.asynchronous())(scope(), first.receive, first.send))
        await eventually(lambda: first.events)
        await News(["a"])(scope(), second.receive, second.send)
        assert second.head[0] == 503
        fed.finish()
        await task

    run(work())


def test_every_end_makes_room_again() -> None:
    """Completion, disconnect, errors before and after the head, a cut, HEAD, a full thread cap, a cancelled server."""
    limit = StreamLimit(1)

    async def failing() -> AsyncIterator[str]:
        raise PermissionError
        yield

    async def failing_late() -> AsyncIterator[str]:
        yield "a"
        await asyncio.sleep(0)
        raise LookupError

    async def serve(content: Any, method: str = "GET", **options: Any) -> tuple[Client, asyncio.Task[None]]:
        client = Client()
        built = asgi_response(content, limit=limit, **options)
        task = asyncio.create_task(built(scope(method), client.receive, client.send))
        await eventually(lambda: client.events or task.done())
        return client, task

    async def work() -> None:
        for content, error in (failing(), PermissionError), (failing_late(), LookupError):
            _, task = await serve(content)
            with pytest.raises(error):
                await task
            assert limit.open == 0
        _, task = await serve(["a"], "HEAD")
        await task
        assert limit.open == 0
        client, task = await serve(Fed().asynchronous())
        assert limit.open == 1
        client.leave()
        await task
        assert limit.open == 0
        _, task = await serve(Fed().asynchronous(), key="ann")
        close_streams("ann")
        with pytest.raises(StreamCutError):
            await task
        assert limit.open == 0
        _, task = await serve(Fed().asynchronous())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert limit.open == 0

    run(work())
    gated = Gated()
    set_max_threads(1)
    holder = WSGIClient(gated.items())
    assert WSGIClient(["a"], limit=limit).status == "503 Service Unavailable"
    assert WSGIClient(["a"], limit=limit, method="HEAD").status == "200 OK"
    assert limit.open == 0
    gated.gate.set()
    holder.read()
    unread = WSGIClient(["a"], limit=limit, threads=False)
    assert limit.open == 1
    unread.close()
    unread.close()
    assert limit.open == 0


def test_refused_stream_is_not_drained_and_has_no_end() -> None:
    """It never was one."""
    limit, fed = StreamLimit(1), Fed()
    holder = WSGIClient(fed.asynchronous(), limit=limit)
    WSGIClient(["a"], limit=limit).read()
    assert drain() == 1
    fed.finish()
    holder.read()


def test_two_threads_never_open_one_stream_too_many() -> None:
    """Counting and asking are one step."""
    limit, barrier, refused = StreamLimit(50), threading.Barrier(4), list[int]()

    def race() -> None:
        barrier.wait(LIMIT)
        for _ in range(40):
            try:
                limit.acquire("key")
            except TooManyStreamsError as exc:
                refused.append(exc.limit)

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert limit.open == 50
    assert refused == [50] * 110
    for _ in range(50):
        limit.release("key")
    assert limit.open == 0


def test_stream_whose_timer_cannot_be_had_holds_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process has no thread left for the loop that ends old streams: the stream fails, and none counts for it."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    limit = StreamLimit(1)
    monkeypatch.setattr(background, "_loops", {})
    monkeypatch.setattr(background, "start_native_thread", refuse)
    with pytest.raises(RuntimeError, match="start new thread"):
        WSGIClient(iter("a"), limit=limit, policy=StreamPolicy(max_age=600, keepalive=None))
    assert (limit.open, stats().open) == (0, 0)
