"""The clock that a test moves: whose time it is, what it tells, and what a test may call."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamkit import Event, StreamPolicy, asgi, wsgi
from streamkit._engine.clock import SYSTEM
from streamkit.testing import AsyncFakeClock, FakeClock, fake_clock, open_stream

POLICY = StreamPolicy(keepalive=15)


async def one_and_silence() -> AsyncIterator[str]:
    """Yield once."""
    yield "a"
    await asyncio.Event().wait()


@pytest.mark.parametrize("kind", [FakeClock, AsyncFakeClock])
def test_completion_offers_what_a_test_may_call(kind: type) -> None:
    """What the engine asks of a clock is not among it."""
    assert [name for name in dir(kind) if not name.startswith("_")] == ["advance", "now", "pending", "sleeping"]


def test_clock_is_that_of_the_test_alone() -> None:
    """A stream that is made in another thread keeps the system's time."""
    made: list[Any] = []

    def make() -> None:
        made.append(asgi.EventStreamResponse([]))

    with fake_clock():
        make()
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
    here, elsewhere = (response._stream.clock for response in made)
    assert elsewhere is SYSTEM
    assert here is not SYSTEM


def test_clock_may_be_given() -> None:
    """To a stream that is opened when its `with` is over, or to a response that was built before."""
    with fake_clock() as clock:
        pass
    app = asgi.EventStreamResponse(one_and_silence(), policy=POLICY)
    with open_stream(app, "GET", "/", clock=clock) as events:
        assert events.take() == [Event("a")]
        clock.advance(15)
        assert events.keepalive() == b":\n"
        assert events.comments == [""]


def test_clock_tells_the_time_and_who_waits_for_it() -> None:
    """A call on a loop by its seconds, a thread by being one."""
    on_loop, in_thread = (each.EventStreamResponse(one_and_silence(), policy=POLICY) for each in (asgi, wsgi))
    with fake_clock() as clock, open_stream(on_loop, "GET", "/") as events:
        assert events.take() == [Event("a")]
        begun = clock.now()
        clock.advance(5)
        assert (clock.now() - begun, clock.pending, clock.sleeping) == (5, [10], 0)
    with fake_clock() as clock, open_stream(in_thread, "GET", "/"):
        clock.advance(0)
        assert clock.sleeping == 1


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_clock_goes_forward_only(seconds: float) -> None:
    """A negative step is refused, and one that is no number."""
    with fake_clock() as clock, pytest.raises(ValueError, match=f"forward, by seconds >= 0, not {seconds}"):
        clock.advance(seconds)


def test_open_stream_may_be_entered_again() -> None:
    """As where a fixture has entered it: the request is not sent twice."""
    with open_stream(wsgi.NDJSONResponse([1]), "GET", "/") as events:
        with events as again:
            assert again is events
            assert events.take() == [1]
        assert list(events) == []
