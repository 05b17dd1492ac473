"""Which responses are streams, and what the middleware makes of their heads."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import streamkit
from streamkit import StreamLimit, stats
from tests.engine.drive import run
from tests.engine.fake_clock import FakeClock, settle
from tests.middleware.asgi.calls import EVENTS, Caller, begin, body, call, head, idle_after, scope, sending

STREAMING = [EVENTS, "application/x-ndjson", "application/jsonl", "application/json-seq"]


@pytest.mark.parametrize("media_type", [*STREAMING, "TEXT/Event-Stream ; charset=UTF-8", "application/x-ndjson;v=2"])
def test_media_type_of_a_stream_is_one_from_its_head_on(media_type: str) -> None:
    """The head leaves at once, and an empty piece of body after it, while the app is still silent."""
    before = stats().open

    async def main() -> None:
        caller = Caller()
        task = begin(idle_after(head(media_type)), caller)
        await caller.began(2)
        assert caller.head[1]["cache-control"] == "no-cache, no-transform"
        assert caller.head[1]["x-accel-buffering"] == "no"
        assert caller.events[1:] == [body(b"")]
        assert stats().open == before + 1
        caller.leave()
        await asyncio.wait({task})

    run(main())


def test_response_in_pieces_is_a_stream_from_its_first_piece_on() -> None:
    """Without Content-Length the head waits for the first piece, which tells."""
    went_on = asyncio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(head("text/plain"))
        await went_on.wait()
        await send(body(b"one"))
        await send(body(b"two", more=False))

    async def main() -> None:
        caller = Caller()
        task = begin(app, caller)
        for _ in range(10):
            await asyncio.sleep(0)
        assert caller.events == []
        went_on.set()
        await task
        assert caller.head[1]["cache-control"] == "no-cache, no-transform"
        assert caller.chunks == [b"one", b"two"]
        assert caller.ended

    opened = stats().opened
    run(main())
    assert stats().opened == opened + 1


def test_headers_that_the_app_has_set_win() -> None:
    """The middleware adds what is missing and replaces nothing; of no event stream is more to be made than it is."""
    own = head(Cache_Control="no-store", X_Accel_Buffering="yes")
    kept = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "yes"}

    async def main() -> None:
        caller = await call(sending(own, body(b"", more=False)))
        assert caller.head[1] == {"content-type": EVENTS, **kept}

    run(main())


def test_headers_that_belong_to_the_server_are_left_out_of_an_event_stream() -> None:
    """Content-Length is wrong there, and the others break HTTP/2."""
    own = head(content_length="9", transfer_encoding="chunked", connection="keep-alive", keep_alive="timeout=5", a="b")

    async def main() -> None:
        caller = await call(sending(own, body(b"data: 1\n\n"), body(b"", more=False)))
        assert caller.head[1].keys() == {"content-type", "a", "cache-control", "x-accel-buffering"}

    run(main())


@pytest.mark.parametrize("media_type", [EVENTS, "text/plain"])
@pytest.mark.parametrize("stream_starts", [True, False])
def test_head_request_is_answered_by_the_head_alone(media_type: str, stream_starts: bool) -> None:
    """The app is ended; one whose media type tells is held at its head, so that its stream never starts."""
    notes: list[str] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(head(media_type))
        notes.append("started")
        try:
            while stream_starts:
                await send(body(b"data: 1\n\n"))
            await send(body(b""))
            await asyncio.Event().wait()
        finally:
            notes.append("ended")

    async def main() -> None:
        caller = await call(app, method="HEAD")
        assert caller.events[-1] == body(b"", more=False)
        assert len(caller.events) == 2
        assert notes == ([] if media_type == EVENTS else ["started", "ended"])

    opened = stats().opened
    run(main())
    assert stats().opened == opened


def test_head_request_with_a_whole_answer_is_untouched() -> None:
    """An app that ends a HEAD itself is right."""
    messages = [head("text/html"), body(b"", more=False)]

    async def main() -> None:
        caller = await call(sending(*messages), method="HEAD")
        assert [id(event) for event in caller.events] == [id(message) for message in messages]

    run(main())


@pytest.mark.parametrize("accept", [EVENTS, "application/x-ndjson, */*", "Application/JSON-seq"])
def test_app_does_not_learn_that_a_stream_may_be_compressed(accept: str) -> None:
    """Accept-Encoding is hidden from the app where Accept names a stream, and only there."""
    seen: list[Any] = []

    async def app(given: Any, _receive: Any, send: Any) -> None:
        seen.append(dict(given["headers"]))
        await send(head("text/html", content_length="0"))
        await send(body(b"", more=False))

    async def main() -> None:
        caller = Caller()
        await begin(app, caller, scope(accept=accept))
        await begin(app, caller, scope(accept="application/json, */*"))

    run(main())
    assert seen[0] == {b"accept": accept.encode()}
    assert seen[1] == {b"accept": b"application/json, */*", b"accept-encoding": b"gzip, br"}


def test_compressed_stream_draws_one_warning_and_no_filler(caplog: pytest.LogCaptureFixture) -> None:
    """What an app compresses all the same cannot be helped, and must not be broken."""

    async def main() -> None:
        clock = FakeClock()
        caller = Caller()
        task = begin(idle_after(head(content_encoding="gzip")), caller, clock=clock)
        await caller.began(2)
        await clock.advance(100)
        assert caller.chunks == []
        caller.leave()
        await clock.advance(2)
        await asyncio.wait({task})

    with caplog.at_level(logging.WARNING, "streamkit"):
        run(main())
    assert [EVENTS in record.getMessage() and "gzip" in record.getMessage() for record in caplog.records] == [True]


def test_head_waits_for_a_late_body_for_a_moment_only() -> None:
    """A stream of unknown type that is slow to begin has its head at once, as good as."""

    async def main() -> None:
        clock, caller = FakeClock(), Caller()
        task = begin(idle_after(head("text/plain")), caller, clock=clock)
        await settle()
        assert caller.events == []
        await clock.advance(0.1)
        assert caller.head[1]["x-accel-buffering"] == "no"
        assert caller.events[1:] == [body(b"")]
        streamkit.drain()
        await clock.advance(1)
        await task
        assert not caller.ended

    run(main())


def test_late_head_over_the_limit_is_refused() -> None:
    """A stream that is found late is counted like any other."""

    async def main() -> None:
        clock, limit = FakeClock(), StreamLimit(1)
        limit.acquire()
        caller = Caller()
        task = begin(idle_after(head("text/plain")), caller, clock=clock, limit=limit)
        await clock.advance(0.1)
        await task
        assert caller.head[0] == 503
        assert caller.ended

    run(main())
