"""How the streams of an app end before their time, or never begin: limits, drain, age."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from streamkit import StreamCutError, StreamLimit, StreamPolicy, drain, set_max_threads, stats
from streamkit._engine.background import background_loop
from streamkit.wsgi import StreamingMiddleware
from tests.adapters.wsgi_calls import Call
from tests.engine.fake_clock import FakeClock, settle
from tests.engine.lives import Ends
from tests.middleware.wsgi.apps import BROWSER, A, B, Body, app_of, by_app, timed


@by_app
def test_stream_over_the_limit_is_refused(make: Any) -> None:
    """A browser's EventSource is told when to come back, anybody else gets 503; a slot that is free again serves."""
    limit = StreamLimit(1)

    def anew(environ: Any, start_response: Any) -> Any:
        return make(iter([A, B]))(environ, start_response)

    middleware = StreamingMiddleware(anew, limit=limit)
    first = Call(middleware)
    assert first.take() == A
    browser, other, head = Call(middleware, headers=BROWSER), Call(middleware), Call(middleware, method="HEAD")
    assert browser.take().startswith(b"retry: ")
    assert (browser.status, browser.headers["Content-Type"]) == (200, "text/event-stream")
    assert b"as allowed (1)" in other.take()
    assert (other.status, other.headers["Content-Type"]) == (503, "text/plain; charset=utf-8")
    assert int(other.headers["Retry-After"]) >= 1
    assert head.read() == b""
    assert head.status == 200
    for call in (browser, other, first):
        call.close()
    assert limit.open == 0
    assert Call(middleware).read() == A + B


def test_refused_body_is_closed_without_being_iterated() -> None:
    """And nothing is counted."""
    limit, body, opened = StreamLimit(1), Body(), stats().opened
    limit.acquire()
    Call(StreamingMiddleware(app_of(body), limit=limit)).close()
    assert (body.iterated, body.closed, stats().opened) == (0, 1, opened)


def test_stream_without_a_thread_left_is_refused() -> None:
    """Where it would need one for its keepalive."""
    body = Body()
    app = StreamingMiddleware(app_of(body), policy=StreamPolicy(keepalive=15))
    set_max_threads(1)
    gate = threading.Event()

    def holding() -> Iterator[bytes]:
        gate.wait(10)
        yield A

    try:
        holder = Call(StreamingMiddleware(app_of(holding()), policy=StreamPolicy(keepalive=15)), threads=True)
        refused = Call(app, threads=True)
        assert refused.status == 503
        refused.close()
        assert (body.iterated, body.closed) == (0, 1)
        gate.set()
        assert holder.read() == A
    finally:
        set_max_threads(1_000)


def _reach_next_timer(clock: FakeClock) -> None:
    """Let time pass until the first timer is due, on the loop that holds the timers of WSGI streams."""

    async def reach() -> None:
        await settle()
        await clock.advance(clock.pending[0])

    asyncio.run_coroutine_threadsafe(reach(), background_loop()).result(5)


@by_app
def test_stream_that_may_be_cut_ends_between_two_events(make: Any) -> None:
    """A browser that was sent an id comes back for the rest: it is told when, after the event that is being sent."""
    ends = Ends()
    items = iter([b"id: 1\ndata: a\n\n", b"data: b\n", b"\n", b"data: c\n\n"])
    app = make(items, [("Content-Type", "Text/Event-Stream; charset=utf-8")])
    call = Call(StreamingMiddleware(app, on_close=ends), headers=BROWSER)
    assert call.take() == b"id: 1\ndata: a\n\n"
    assert call.take() == b"data: b\n"
    drain()
    assert call.take() == b"\n"
    assert call.take().startswith(b"retry: ")
    assert call.take() == b""
    call.close()
    assert ends.reasons == ["drained"]
    assert next(items) == b"data: c\n\n"  # it was not even asked for


def test_stream_inside_an_event_is_cut_off_after_its_grace() -> None:
    """One that gives half an event and never the rest."""
    clock, ends = FakeClock(), Ends()
    app = timed(app_of(iter([b"id: 1\n", b"data: a\n", b"data: b\n"])), clock, on_close=ends)
    call = Call(app, headers=BROWSER)
    assert call.take() == b"id: 1\n"
    assert call.take() == b"data: a\n"
    drain()
    assert call.take() == b"data: b\n"
    asyncio.run(clock.advance(1))
    with pytest.raises(StreamCutError, match="drained"):
        call.take()
    call.close()
    assert ends.reasons == ["drained"]


def test_stream_of_a_client_that_takes_an_end_for_a_whole_answer_is_cut_off() -> None:
    """It may go on for its grace; then it ends at its next item, and not as if it were whole."""
    clock, ends = FakeClock(), Ends()
    call = Call(timed(app_of(iter([A, B, A])), clock, on_close=ends))
    assert call.take() == A
    drain()
    assert call.take() == B
    _reach_next_timer(clock)
    with pytest.raises(StreamCutError):
        call.take()
    call.close()
    assert ends.reasons == ["drained"]


def test_body_that_ends_before_its_grace_is_whole() -> None:
    """Though the end was asked for."""
    clock, ends = FakeClock(), Ends()
    call = Call(timed(app_of(iter([A, B])), clock, on_close=ends))
    assert call.take() == A
    drain()
    assert call.read() == B
    assert ends.reasons == ["completed"]


def test_body_that_ends_after_the_end_was_asked_for_is_whole() -> None:
    """Its last item is on the wire: to cut it off would help nobody."""
    clock, ends = FakeClock(), Ends()
    call = Call(timed(app_of(iter([A])), clock, on_close=ends, policy=StreamPolicy(drain="cut")))
    assert call.take() == A

    class Last(Body):
        def __next__(self) -> bytes:
            drain()
            raise StopIteration

    assert call.read() == b""
    assert ends.reasons == ["completed"]
    last = Call(timed(app_of(Last()), clock, on_close=ends, policy=StreamPolicy(drain="cut")))
    assert last.read() == b""
    assert ends.reasons == ["completed", "completed"]


@pytest.mark.parametrize(
    ("content_type", "encoding", "last"),
    [
        ("text/event-stream", None, b"retry: "),
        ("application/x-ndjson", None, b""),
        ("text/csv", None, None),
        ("text/event-stream", "gzip", None),
    ],
)
def test_policy_that_cuts_does_so_only_where_frames_can_be_told(
    content_type: str, encoding: str | None, last: bytes | None
) -> None:
    """Other bytes are never passed off as a whole body."""
    headers = [("Content-Type", content_type), *([("Content-Encoding", encoding)] if encoding else [])]
    clock = FakeClock()
    policy = StreamPolicy(drain="cut", max_age=60)
    call = Call(timed(app_of(iter([A, B, A]), headers), clock, policy=policy), headers=BROWSER)
    assert call.take() == A
    _reach_next_timer(clock)
    if last is None:
        assert call.take() == B
        asyncio.run(clock.advance(1))
        with pytest.raises(StreamCutError, match="max_age"):
            call.take()
    else:
        assert call.take().startswith(last)
        assert call.take() == b""
    call.close()
