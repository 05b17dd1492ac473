"""Fillers of the WSGI middleware: only when asked for, only between frames, from a thread that the app's body gets."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamkit import StreamCutError, StreamPolicy, drain, stats
from streamkit._engine.wsgi_body import _warned
from tests.adapters.wsgi_calls import Call
from tests.engine.fake_clock import FakeClock
from tests.engine.lives import Ends, wait_for
from tests.middleware.wsgi.apps import BROWSER, EVENTS, A, B, Body, app_of, late_app_of, timed

ASKED = StreamPolicy(keepalive=15)


class Fed:
    """What an app gives when the test says so."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.put = self._items.put

    def __iter__(self) -> Iterator[bytes]:
        while (item := self._items.get(timeout=10)) is not None:
            yield item


class Later:
    """Reads one piece of a body in another thread, since it has to wait."""

    def __init__(self, take: Callable[[], bytes]) -> None:
        self._result: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=lambda: self._result.put(take()), daemon=True).start()

    def get(self) -> bytes:
        """Return it."""
        return self._result.get(timeout=10)


@pytest.mark.parametrize(
    ("content_type", "frame", "filler"),
    [
        ("text/event-stream", A, b":\n"),
        ("application/x-ndjson", b"1\n", b"\n"),
        ("application/json-seq", b"\x1e1\n", b"\x1e"),
    ],
)
def test_silence_is_filled_when_asked(content_type: str, frame: bytes, filler: bytes) -> None:
    """After a second at first, which shows that the stream lives, and then after the seconds of the policy."""
    clock, fed = FakeClock(), Fed()
    body = Body(fed)
    call = Call(timed(app_of(body, [("Content-Type", content_type)]), clock, policy=ASKED), threads=True)
    first = Later(call.take)
    clock.advance_threads(1)
    assert first.get() == filler
    fed.put(frame)
    assert call.take() == frame
    for _ in range(2):
        idle = Later(call.take)
        clock.advance_threads(15)
        assert idle.get() == filler
    fed.put(None)
    assert call.read() == b""
    assert body.closed == 1
    assert len(body.threads) == 1
    assert threading.get_ident() not in body.threads


def test_no_filler_goes_into_an_event() -> None:
    """Half an event waits for its other half, however long that takes."""
    clock, fed = FakeClock(), Fed()
    call = Call(timed(app_of(fed), clock, policy=ASKED), threads=True)
    fed.put(b"data: half\n")
    assert call.take() == b"data: half\n"
    idle = Later(call.take)
    clock.advance_threads(15)
    clock.advance_threads(15)
    fed.put(b"\n")
    assert idle.get() == b"\n"
    idle = Later(call.take)
    clock.advance_threads(15)
    assert idle.get() == b":\n"
    fed.put(None)
    call.close()


@pytest.mark.parametrize(
    ("policy", "headers", "threads"),
    [
        (StreamPolicy(), EVENTS, True),
        (StreamPolicy(keepalive=None), EVENTS, True),
        (ASKED, [("Content-Type", "text/csv")], True),
        (ASKED, [*EVENTS, ("Content-Encoding", "gzip")], True),
    ],
    ids=["auto", "off", "text", "compressed"],
)
def test_body_stays_in_the_server_s_thread_where_nothing_can_be_filled(
    policy: StreamPolicy, headers: Any, threads: bool
) -> None:
    """What the app keeps by thread is there."""
    body = Body()
    assert Call(timed(app_of(body, headers), FakeClock(), policy=policy), threads=threads).read() == A + B
    assert body.threads == {threading.get_ident()}


def test_server_of_one_request_at_a_time_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """There is no thread beside which to fill; the first filler makes the head leave."""
    _warned.clear()
    body = Body()
    with caplog.at_level(logging.WARNING, "streamkit"):
        assert Call(timed(app_of(body), FakeClock(), policy=ASKED), threads=False).read() == b":\n" + A + B
    assert "wsgi.multithread is false" in caplog.text
    assert body.threads == {threading.get_ident()}


def test_generator_app_stays_in_the_server_s_thread() -> None:
    """It was started there before it could be known that it streams."""
    threads: set[int] = set()

    def items() -> Iterator[bytes]:
        for item in (A, B):
            threads.add(threading.get_ident())
            yield item

    assert Call(timed(late_app_of(items()), FakeClock(), policy=ASKED), threads=True).read() == A + B
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_client_that_leaves_closes_the_body_once_where_it_was_iterated(taken: int) -> None:
    """The thread is inside the body: it closes that when it comes back."""
    ends, fed = Ends(), Fed()
    body = Body(fed)
    call = Call(timed(app_of(body), FakeClock(), policy=ASKED, on_close=ends), threads=True)
    for _ in range(taken):
        fed.put(A)
        assert call.take() == A
    call.close()
    fed.put(B)
    wait_for(lambda: stats().threads == 0)
    assert body.closed == 1
    assert len(body.threads) == 1
    assert threading.get_ident() not in body.threads
    assert ends.reasons == ["disconnected"]


def test_error_of_a_pumped_body_reaches_the_server() -> None:
    """As it does without a thread."""

    def items() -> Iterator[bytes]:
        yield A
        raise ValueError("half")

    ends = Ends()
    call = Call(timed(app_of(items()), FakeClock(), policy=ASKED, on_close=ends), threads=True)
    with pytest.raises(ValueError, match="half"):
        call.read()
    assert ends.reasons == ["error"]


@pytest.mark.parametrize(
    ("items", "whole"),
    [([b"id: 1\n" + A], True), ([b"id: 1\n" + A, b"data: half\n"], False)],
    ids=["between", "inside"],
)
def test_idle_stream_with_a_thread_ends_at_a_shutdown_at_once(items: list[bytes], whole: bool) -> None:
    """Though the app sleeps; cleanly between two events, and by a cut inside one."""
    ends, fed = Ends(), Fed()
    call = Call(timed(app_of(fed), FakeClock(), policy=ASKED, on_close=ends), threads=True, headers=BROWSER)
    for item in items:
        fed.put(item)
        assert call.take() == item
    read = Later(lambda: _outcome(call))
    drain()
    assert read.get().startswith(b"retry: " if whole else b"StreamCutError")
    fed.put(A)
    call.close()
    wait_for(lambda: stats().threads == 0)
    assert ends.reasons == ["drained"]


def test_half_an_event_that_nobody_has_taken_yet_is_no_place_to_end() -> None:
    """It was made before the end was asked for, so the stream ends inside it."""
    ends, fed = Ends(), Fed()
    policy = StreamPolicy(keepalive=15, drain="cut")
    call = Call(timed(app_of(fed), FakeClock(), policy=policy, on_close=ends), threads=True)
    fed.put(A)
    assert call.take() == A
    frames = stats().frames
    fed.put(b"data: half\n")
    wait_for(lambda: stats().frames == frames + 1)
    drain()
    with pytest.raises(StreamCutError):
        call.read()
    fed.put(A)
    assert ends.reasons == ["drained"]
    wait_for(lambda: stats().threads == 0)


def _outcome(call: Call) -> bytes:
    try:
        return call.take()
    except StreamCutError as exc:
        return type(exc).__name__.encode()
