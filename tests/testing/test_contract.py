"""What `open_stream` promises, on every kind of client, for sync and async sources, in two formats."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from streamkit import EncodeError, Event, PipeClosedError, StreamPolicy
from streamkit.testing import StreamEndedError, assert_well_formed
from tests.adapters.watched import Watched
from tests.testing.kinds import KINDS, Bench, Kind

RESPONSES = {"sse": "EventStreamResponse", "ndjson": "NDJSONResponse"}
LIVELY = StreamPolicy(keepalive=15)


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of client."""
    found: Kind = request.param
    return found


class Streamed:
    """A view that streams what the test puts in.

    Attributes:
        watched: The source.
        options: Of the response.
    """

    def __init__(self, form: str, mode: str, **options: Any) -> None:
        self.watched = Watched()
        self.put = self.watched.pipe.put
        self.options = {"policy": LIVELY, **options}
        self.form, self.mode = form, mode

    def __call__(self, adapter: Any, request: Any) -> Any:
        """Respond."""
        source = self.watched.items() if self.mode == "async" else self.watched.items_sync()
        return getattr(adapter, RESPONSES[self.form])(source, request=request, **self.options)

    def is_closed(self) -> bool:
        """Tell whether the source is closed: an async one has been, a sync one is when its `next` returns."""
        if self.mode == "async":
            return self.watched.closed.is_set()
        with suppress(PipeClosedError):
            self.put("more")
        return self.watched.closed.wait(10)

    def expected(self, *items: Any) -> list[Any]:
        """Return what a client gets for items."""
        return [Event(item) for item in items] if self.form == "sse" else list(items)


@pytest.fixture(params=[(form, mode) for form in RESPONSES for mode in ("sync", "async")], ids="-".join)
def streamed(request: pytest.FixtureRequest) -> Streamed:
    """Each format with each kind of source."""
    return Streamed(*request.param)


def test_items_are_taken_while_the_stream_goes_on(kind: Kind, streamed: Streamed) -> None:
    """The second item is made when the test has seen the first; then the stream ends by itself."""

    async def test(bench: Bench) -> None:
        async with bench.open() as events:
            assert events.status_code == 200
            assert events.headers["Cache-Control"] == "no-cache, no-transform"
            for item in ("a", {"n": 1}):
                streamed.put(item)
                assert await events.take(1) == streamed.expected(item)
            assert events.closed_reason is None
            streamed.put("z")
            streamed.watched.pipe.close()
            assert [item async for item in events] == streamed.expected("z")
            assert events.closed_reason == "completed"
            assert_well_formed(events.raw, events.headers["content-type"])

    kind.run(streamed, test)


def test_finally_of_the_source_has_run_when_the_client_has_left(kind: Kind, streamed: Streamed) -> None:
    """A stream without an end is left in the middle, and its reason is the engine's."""

    async def test(bench: Bench) -> None:
        async with bench.open() as events:
            streamed.put("a")
            assert await events.take() == streamed.expected("a")
            await events.disconnect()
            assert events.closed_reason == "disconnected"
            assert streamed.is_closed()
            await events.disconnect()
            with pytest.raises(StreamEndedError, match=r"take\(1\) did not come: the stream ended, disconnected"):
                await events.take()

    kind.run(streamed, test)
    assert streamed.watched.ends == 1


def test_end_of_the_with_leaves(kind: Kind, streamed: Streamed) -> None:
    """A test that says nothing leaves nothing open."""

    async def test(bench: Bench) -> None:
        async with bench.open() as events:
            streamed.put("a")
            await events.take()

    kind.run(streamed, test)
    assert streamed.is_closed()


def test_failed_source_is_seen_as_one(kind: Kind, streamed: Streamed) -> None:
    """What came before it is there; an iteration does not end as if all had come."""

    async def test(bench: Bench) -> None:
        async with bench.open() as events:
            streamed.put("a")
            assert await events.take() == streamed.expected("a")
            streamed.put(float("nan"))
            assert await events.wait_closed() == "error"
            assert isinstance(events.error, EncodeError)
            with pytest.raises(StreamEndedError, match="the stream ended, error"):
                assert [item async for item in events] == []

    kind.run(streamed, test)


def test_keepalive_and_age_come_when_the_clock_gets_there(kind: Kind, streamed: Streamed) -> None:
    """Nobody waits for them: four keepalives of fifteen seconds, then the end at ten minutes."""
    streamed.options["policy"] = StreamPolicy(keepalive=15, max_age=600, drain="cut")

    async def test(bench: Bench) -> None:
        async with bench.clock() as clock, bench.open() as events:
            streamed.put("a")
            assert await events.take() == streamed.expected("a")
            for _ in range(4):
                await clock.advance(15)
                assert await events.keepalive() == (b":\n" if streamed.form == "sse" else b"\n")
            await clock.advance(600)
            assert await events.wait_closed() == "max_age"

    kind.run(streamed, test)
    assert streamed.is_closed()


def test_request_is_what_the_client_would_have_sent(kind: Kind) -> None:
    """Method, JSON body, headers and query reach the view."""
    seen: list[Any] = []

    def respond(adapter: Any, request: Any) -> Any:
        seen.append(adapter.last_event_id(request))
        return adapter.EventStreamResponse(["a"], request=request, headers={"Set-Cookie": "seen=yes; Path=/"})

    async def test(bench: Bench) -> None:
        for options in ({"headers": {"Last-Event-ID": "7"}}, {"url": "/?last_event_id=8"}):
            async with bench.open("POST", json={"a": 1}, **options) as events:
                assert [item async for item in events] == [Event("a")]

    kind.run(respond, test)
    assert seen == ["7", "8"]
