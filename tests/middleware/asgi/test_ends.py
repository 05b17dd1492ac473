"""Streams of an app that end before their time, that fail, and that count."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import streamkit
from streamkit import StreamLimit, StreamPolicy, stats
from tests.engine.drive import run
from tests.engine.fake_clock import FakeClock, settle
from tests.engine.lives import Ends
from tests.middleware.asgi.calls import EVENTS, App, Caller, around, begin, body, call, head, idle_after, scope, sending

RESUMABLE = b"id: 7\ndata: 1\n\n"
CUT = StreamPolicy(drain="cut")
FINISH = StreamPolicy(drain="finish")


async def drained(app: App) -> Caller:
    """Return the client of a stream that has begun, and has ended at a shutdown."""
    caller = Caller()
    task = begin(app, caller, policy=CUT)
    await caller.began(2)
    streamkit.drain()
    await task
    return caller


def test_stream_counts_while_it_runs_and_is_closed_with_its_figures() -> None:
    """`stats()` and `on_close` know the streams of an app as they know streamkit's own."""

    async def main() -> None:
        closed, before = Ends(), stats()
        messages = [head(), body(b"data: 1\n\n"), body(b"data: 2\n\n"), body(b"", more=False)]
        await call(sending(*messages), on_close=closed)
        assert closed.reasons == ["completed"]
        assert (closed.told[0][1].frames, closed.told[0][1].bytes) == (2, 18)
        assert stats().opened == before.opened + 1
        assert stats().open == before.open

    run(main())


@pytest.mark.parametrize(
    ("request_accept", "chunk", "policy", "clean"),
    [
        (EVENTS, RESUMABLE, None, True),
        (EVENTS, b"data: 1\n\n", None, False),
        ("*/*", RESUMABLE, None, False),
        ("*/*", b"data: 1\n\n", CUT, True),
        (EVENTS, RESUMABLE, FINISH, False),
    ],
)
def test_drain_ends_a_stream_as_its_policy_says(request_accept: str, chunk: bytes, policy: Any, clean: bool) -> None:
    """Cleanly with a farewell where the client comes back and resumes; else it has its grace, and is cut off."""
    notes: list[str] = []

    async def main() -> None:
        clock, caller, closed = FakeClock(), Caller(), Ends()
        app = idle_after(head(), body(chunk), notes=notes)
        task = begin(app, caller, scope(accept=request_accept), clock=clock, on_close=closed, policy=policy)
        await caller.arrived(1)
        streamkit.drain()
        await settle()
        assert caller.ended == clean
        await clock.advance(1)
        await task
        assert notes == ["cleaned up"]
        assert caller.ended == clean
        assert closed.reasons == ["drained"]
        assert [chunk.startswith(b"retry: ") for chunk in caller.chunks] == [False, *[True] * clean]
        assert clock.pending == []

    run(main())


def test_clean_end_waits_for_the_end_of_the_event() -> None:
    """A stream that is to end inside an event goes on to the end of it, and says its farewell there."""
    go = asyncio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(head())
        await send(body(b"id: 1\n"))
        await go.wait()
        await send(body(b"data: 1\n\n"))
        await send(body(b"id: 2\ndata: 2\n\n"))

    async def main() -> None:
        caller, closed = Caller(), Ends()
        task = begin(app, caller, policy=CUT, on_close=closed)
        await caller.arrived(1)
        streamkit.drain()
        await settle()
        assert caller.chunks == [b"id: 1\n"]
        go.set()
        await task
        assert caller.chunks[:2] == [b"id: 1\n", b"data: 1\n\n"]
        assert caller.chunks[2].startswith(b"retry: ")
        assert caller.ended
        assert closed.reasons == ["drained"]

    run(main())


def test_event_that_does_not_end_in_time_is_cut_off() -> None:
    """Half an event is never ended as if it were whole."""

    async def main() -> None:
        clock, caller = FakeClock(), Caller()
        task = begin(idle_after(head(), body(b"id: 1\n")), caller, clock=clock, policy=CUT)
        await caller.arrived(1)
        streamkit.drain()
        await clock.advance(1)
        await task
        assert caller.chunks == [b"id: 1\n"]
        assert not caller.ended

    run(main())


def test_clean_end_that_the_client_does_not_read_is_given_up() -> None:
    """A client that has stopped reading keeps no server from stopping."""

    async def main() -> None:
        clock, caller, closed = FakeClock(), Caller(), Ends()
        task = begin(idle_after(head(), body(RESUMABLE)), caller, clock=clock, on_close=closed)
        await caller.arrived(1)
        caller.stop_reading()
        streamkit.drain()
        await settle()
        assert not task.done()
        await clock.advance(1)
        await task
        assert closed.reasons == ["drained"]
        assert not caller.ended

    run(main())


def test_what_an_app_sends_after_its_end_is_dropped() -> None:
    """The app may go on to send while it cleans up; nothing of it follows the end of the body."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(head())
        await send(body(RESUMABLE))
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(20):
                await send(body(b"data: bye\n\n"))

    async def main() -> None:
        caller = Caller()
        task = begin(app, caller)
        await caller.arrived(1)
        streamkit.drain()
        await task
        assert caller.ended
        assert b"bye" not in caller.body

    run(main())


@pytest.mark.parametrize("start", [head("text/plain"), head(content_encoding="gzip")], ids=["unknown", "compressed"])
def test_stream_whose_frames_cannot_be_told_is_never_passed_off_as_whole(start: Any) -> None:
    """Whatever the policy asks for: it has its grace, and is cut off."""

    async def main() -> None:
        clock, caller = FakeClock(), Caller()
        task = begin(idle_after(start, body(RESUMABLE)), caller, clock=clock, policy=CUT)
        await caller.arrived(1)
        streamkit.drain()
        await clock.advance(0.9)
        assert not task.done()
        await clock.advance(0.1)
        await task
        assert caller.body == RESUMABLE
        assert not caller.ended

    run(main())


def test_stream_ends_at_its_age() -> None:
    """`max_age` holds for streams of an app too."""

    async def main() -> None:
        clock, caller, closed = FakeClock(), Caller(), Ends()
        policy = StreamPolicy(max_age=60, drain="cut")
        task = begin(idle_after(head(), body(b"data: 1\n\n")), caller, clock=clock, on_close=closed, policy=policy)
        await caller.arrived(1)
        await clock.advance(53)
        assert not task.done()
        await clock.advance(7)
        await task
        assert closed.reasons == ["max_age"]
        assert caller.ended

    run(main())


def test_client_that_takes_nothing_for_the_send_timeout_is_cut_off() -> None:
    """The send that waits is given up, and the app ended."""
    notes: list[str] = []

    async def main() -> None:
        clock, caller, closed = FakeClock(), Caller(), Ends()
        go = asyncio.Event()

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            await send(head())
            await go.wait()
            try:
                while True:
                    await send(body(b"data: 1\n\n"))
                    await settle()
            finally:
                await settle()
                notes.append("cleaned up")

        task = begin(app, caller, clock=clock, on_close=closed)
        await caller.began(2)
        await clock.advance(25)  # time that the app takes does not count
        go.set()
        await settle()
        caller.stop_reading()
        await settle()
        await clock.advance(29)
        assert not task.done()
        await clock.advance(2)
        await task
        assert closed.reasons == ["slow_client"]
        assert not caller.ended
        assert notes == ["cleaned up"]
        assert clock.pending == []

    run(main())


@pytest.mark.parametrize("browser", [True, False])
def test_stream_over_the_limit_is_refused_before_it_starts(browser: bool) -> None:
    """The app's head never leaves; a browser is told to come back, any other client gets 503."""
    notes: list[str] = []

    async def main() -> None:
        limit = StreamLimit(1)
        first, second = Caller(), Caller()
        running = begin(idle_after(head()), first, limit=limit)
        await first.began(2)
        app = idle_after(head(), body(b"data: 1\n\n"), notes=notes)
        await begin(app, second, scope(accept=EVENTS if browser else "*/*"), limit=limit)
        assert second.head[0] == (200 if browser else 503)
        assert second.body.startswith(b"retry: ") == browser
        assert second.ended
        assert ("retry-after" in second.head[1]) != browser
        assert limit.open == 1
        first.leave()
        await running
        assert limit.open == 0

    run(main())
    assert notes == ["cleaned up"]


@pytest.mark.parametrize("chunks", [[], [b"data: 1\n\n"]])
def test_error_in_mid_stream_is_raised_and_the_body_left_open(chunks: list[bytes]) -> None:
    """The server logs it and cuts the connection."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for message in [head(), *map(body, chunks)]:
            await send(message)
        raise ValueError("no")

    async def main() -> None:
        caller, closed = Caller(), Ends()
        with pytest.raises(ValueError, match="no"):
            await begin(app, caller, on_close=closed)
        assert not caller.ended
        assert caller.chunks == chunks
        assert closed.reasons == ["error"]

    run(main())


def test_error_after_the_last_message_is_no_clean_end() -> None:
    """A task group raises when its tasks have ended, and one of them may have sent the end before."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(head())
        await send(body(b"data: 1\n\n", more=False))
        await settle()
        raise ValueError("no")

    async def main() -> None:
        caller, closed = Caller(), Ends()
        with pytest.raises(ValueError, match="no"):
            await begin(app, caller, on_close=closed)
        assert caller.chunks == [b"data: 1\n\n"]
        assert not caller.ended
        assert closed.reasons == ["error"]

    run(main())


def at_work_after_its_end(go: asyncio.Event) -> Any:
    """Return an app that has sent its last message and returns when `go` is set."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(head())
        await send(body(b"", more=False))
        await go.wait()

    return app


def test_background_work_of_an_app_does_not_delay_the_end() -> None:
    """Starlette runs background tasks in the same call, after the last message."""
    go = asyncio.Event()

    async def main() -> None:
        clock, caller, closed = FakeClock(), Caller(), Ends()
        task = begin(at_work_after_its_end(go), caller, clock=clock, on_close=closed)
        await clock.advance(0.1)
        assert caller.ended
        assert closed.reasons == ["completed"]
        go.set()
        await task

    run(main())


@pytest.mark.parametrize(("error", "reason"), [(OSError(), "disconnected"), (ValueError("planned"), "error")])
def test_end_that_cannot_be_sent_is_no_end(error: Exception, reason: str) -> None:
    """The last message leaves beside the app, which has long sent it and cannot be told."""
    go = asyncio.Event()

    async def main() -> None:
        clock, caller, closed = FakeClock(), Caller(), Ends()
        task = begin(at_work_after_its_end(go), caller, clock=clock, on_close=closed)
        await settle()
        caller.send_error = error
        await clock.advance(0.1)
        go.set()
        await task
        assert not caller.ended
        assert closed.reasons == [reason]

    run(main())


@pytest.mark.parametrize("error", [OSError(), ValueError("planned")])
def test_farewell_that_cannot_be_sent_keeps_no_app_from_ending(error: Exception) -> None:
    """Its generator is closed all the same, and the body stays open."""
    notes: list[str] = []

    async def main() -> None:
        caller, closed = Caller(), Ends()
        task = begin(idle_after(head(), body(RESUMABLE), notes=notes), caller, policy=CUT, on_close=closed)
        await caller.arrived(1)
        caller.send_error = error
        streamkit.drain()
        await task
        assert notes == ["cleaned up"]
        assert not caller.ended
        assert closed.reasons == ["drained"]

    run(main())


@pytest.mark.parametrize("kind", ["pathsend", "zerocopysend"])
def test_event_stream_that_the_server_reads_from_a_file_is_whole(kind: str) -> None:
    """The message of the extension is the rest of the body."""
    message = {"type": f"http.response.{kind}", "path": "/x", "file": 3}

    async def main() -> None:
        closed = Ends()
        caller = await call(sending(head(), message), on_close=closed)
        assert caller.events[-1] is message
        assert closed.reasons == ["completed"]

    run(main())


@pytest.mark.parametrize("trailers", [True, False])
def test_messages_after_the_last_one_follow_it(trailers: bool) -> None:
    """Trailers come after the body, and what comes too much reaches the server, which complains."""
    last = {"type": "http.response.trailers", "headers": []} if trailers else body(b"more")
    start = {**head(), "trailers": True}

    async def main() -> None:
        clock = FakeClock()
        caller = await call(sending(start, body(b"", more=False), last, last), clock=clock)
        assert caller.events[0]["trailers"] is True
        assert caller.events[-3:] == [body(b"", more=False), last, last]
        assert clock.pending == []

    run(main())


@pytest.mark.parametrize("inner", [True, False])
def test_middleware_in_a_middleware_passes_everything_through(inner: bool) -> None:
    """Two of them around one app make one stream."""

    async def main() -> None:
        closed, caller = Ends(), Caller()
        inside = around(sending(head(), body(b"", more=False)), on_close=closed if inner else None)
        outside = around(inside, on_close=None if inner else closed)
        before = stats().opened
        await outside(scope(), caller.receive, caller.send)
        assert stats().opened == before + 1
        assert closed.reasons == ([] if inner else ["completed"])
        assert caller.events == [caller.events[0], body(b""), body(b"", more=False)]

    run(main())


def test_cleanup_that_takes_too_long_is_cut_short() -> None:
    """What an app awaits in its `finally` is bounded by `cleanup_timeout`; then its request is cancelled again."""
    ends: list[str] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(head())
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await asyncio.Event().wait()
            finally:
                ends.append("cut short")

    async def main() -> None:
        clock, caller = FakeClock(), Caller()
        policy = StreamPolicy(drain="cut", cleanup_timeout=5)
        task = begin(app, caller, clock=clock, policy=policy)
        await caller.began(2)
        streamkit.drain()
        await clock.advance(4.9)
        assert ends == []
        await clock.advance(0.2)
        await settle()
        await clock.advance(6)
        await task

    run(main())
    assert ends == ["cut short"]


def test_app_that_ends_at_a_disconnect_is_told_of_one() -> None:
    """Where cancelling what sends does not end an app, it hears that its client has left."""
    heard: list[str] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        async def stream() -> None:
            await send(head())
            await asyncio.Event().wait()

        sender = asyncio.create_task(stream())
        await settle()
        while (message := await receive())["type"] != "http.disconnect":
            pass
        heard.append(message["type"])
        assert sender.cancelled()

    async def main() -> None:
        caller = await drained(app)
        assert caller.ended

    run(main())
    assert heard == ["http.disconnect"]


def test_app_that_waits_for_its_server_is_cancelled_where_nothing_else_ends_it() -> None:
    """What waits in the server's `receive` since before the stream cannot be told, and is not waited for."""

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        async def stream() -> None:
            await send(head())
            await asyncio.Event().wait()

        alive.append(asyncio.create_task(stream()))
        await receive()
        await receive()

    alive: list[asyncio.Task[None]] = []

    async def main() -> None:
        await drained(app)
        assert alive[0].cancelled()

    run(main())


def test_task_that_the_app_has_started_for_itself_is_left_alone() -> None:
    """A producer that is to outlive its request is no part of it, though it iterates a generator."""
    alive: list[asyncio.Task[None]] = []

    async def numbers() -> Any:
        yield 1
        await asyncio.Event().wait()

    async def produce() -> None:
        async for _ in numbers():
            pass

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        alive.append(asyncio.create_task(produce()))
        await send(head())
        await asyncio.Event().wait()

    async def main() -> None:
        await drained(app)
        assert not alive[0].done()
        alive[0].cancel()
        await asyncio.wait(alive)

    run(main())


def test_refused_browser_gets_the_app_s_own_headers() -> None:
    """Without those of CORS it could not read from another origin when to come back."""

    async def main() -> None:
        limit = StreamLimit(1)
        limit.acquire()
        caller = await call(sending(head(access_control_allow_origin="*"), body(b"data: 1\n\n")), limit=limit)
        status, headers = caller.head
        assert (status, headers["access-control-allow-origin"]) == (200, "*")
        assert caller.body.startswith(b"retry: ")
        assert caller.ended

    run(main())
