"""A stream that must end: cut cleanly where its client comes back and resumes, else finished or cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import streamkit
from streamkit import NDJSON, Event, StreamCutError, StreamPolicy
from streamkit._engine.register import register
from tests.engine.drive import Client, run, scope
from tests.engine.drive import response as asgi_response
from tests.engine.fake_clock import FakeClock, settle
from tests.engine.lives import NUMBERS, Burst, Ends, events, eventually
from tests.engine.opened import IDS, NO_IDS, SSE, Open

BY_MODE = pytest.mark.parametrize("mode", ["sync", "asynchronous"])


@BY_MODE
def test_event_stream_of_a_browser_with_ids_is_cut_cleanly(mode: str) -> None:
    """Whole frames, then when to come back, then the end; the source is closed before."""

    async def work() -> None:
        at = Open(mode, end=Event("", event="done"))
        await at.take(*IDS)
        before = at.client.body
        assert streamkit.drain() == 1
        await eventually(lambda: at.client.ended or mode == "sync")
        at.fed.finish()  # lets the thread out
        await at.task
        found, retry = events(at.client.body)
        assert [event.data for event in found] == ["a", "b"]
        assert retry is not None
        assert 1000 <= retry <= 5000
        assert at.client.body == before + b"retry: %d\n" % retry
        assert at.client.ended
        if mode == "asynchronous":
            assert at.ends.seen == ["CancelledError", "closed", "on_close"]
        assert at.ends.reasons == ["drained"]
        await settle()
        assert [due for due in at.clock.pending if due != 10] == []

    run(work())


def test_finally_of_the_source_is_over_before_the_body_ends() -> None:
    """It may await, and runs once."""

    async def work() -> None:
        clock, client, seen = FakeClock(), Client(), list[str]()

        async def items() -> AsyncIterator[Event]:
            try:
                yield IDS[0]
                await asyncio.Event().wait()
            finally:
                await settle()
                seen.append("ended" if client.ended else "open")

        built = asgi_response(items(), clock=clock)
        task = asyncio.create_task(built(scope(accept=SSE), client.receive, client.send))
        await eventually(lambda: client.body)
        streamkit.drain()
        await task
        assert seen == ["open"]
        assert client.ended

    run(work())


@pytest.mark.parametrize(
    ("method", "accept", "items", "policy"),
    [
        ("GET", SSE, NO_IDS, {}),
        ("POST", SSE, IDS, {}),
        ("GET", "*/*", IDS, {}),
        ("GET", SSE, IDS, {"drain": "finish"}),
    ],
    ids=["without-ids", "post", "no-browser", "asked"],
)
@BY_MODE
def test_any_other_stream_may_finish(
    mode: str, method: str, accept: str, items: list[Event], policy: dict[str, Any]
) -> None:
    """Within its grace it completes, with its end item and as if nothing had been."""

    async def work() -> None:
        options = StreamPolicy(keepalive=None, grace=10, **policy)
        at = Open(mode, method=method, accept=accept, policy=options, end=Event("", event="done"))
        await at.take(items[0])
        streamkit.drain()
        await at.clock.advance(9.9)
        assert not at.task.done()
        at.fed.put(items[1])
        at.fed.finish()
        await at.task
        assert at.events == ["a", "b", ""]
        assert b"retry" not in at.client.body
        assert at.client.ended
        assert at.ends.reasons == ["completed"]
        await settle()
        assert at.clock.pending == []

    run(work())


@BY_MODE
def test_stream_that_does_not_finish_within_its_grace_is_cut_off(mode: str) -> None:
    """No clean end: a client that takes one for a whole answer sees an error instead."""

    async def work() -> None:
        at = Open(mode, method="POST", end=Event("", event="done"))
        await at.take(*IDS)
        streamkit.drain()
        streamkit.drain()  # asked twice is not given twice the time
        await at.clock.advance(10)
        at.fed.finish()
        with pytest.raises(StreamCutError, match="drained"):
            await at.task
        assert at.events == ["a", "b"]
        assert b"retry" not in at.client.body
        assert not at.client.ended
        assert at.ends.reasons == ["drained"]

    run(work())


@BY_MODE
def test_cut_that_was_asked_for_ends_any_format_cleanly(mode: str) -> None:
    """NDJSON has no word for when to come back, so nothing is said."""

    async def work() -> None:
        policy = StreamPolicy(drain="cut", keepalive=None)
        at = Open(mode, method="POST", accept="*/*", policy=policy, format=NDJSON(), end={"done": 1})
        at.fed.put("a")
        await eventually(lambda: at.client.body)
        streamkit.drain()
        at.fed.finish()
        await at.task
        assert at.client.body == b'"a"\n'
        assert at.client.ended
        assert at.ends.reasons == ["drained"]

    run(work())


@BY_MODE
def test_what_was_encoded_before_the_cut_is_sent_once(mode: str) -> None:
    """A send that is under way goes on; what waits behind it follows; then the farewell."""

    async def work() -> None:
        client, burst, ends = Client(), Burst(), Ends()
        built = asgi_response(getattr(burst, mode)(), on_close=ends, policy=StreamPolicy(drain="cut", grace=60))

        async def send(event: Any) -> None:
            if event.get("body"):
                client.stop_reading()
            await client.send(event)

        task = asyncio.create_task(built(scope(accept=SSE), client.receive, send))
        # A slow item of an async source leaves at once, and the source waits for its send: fewer are encoded then.
        await eventually(lambda: client._inside and (burst.pulled == 21 or mode == "asynchronous"))
        await settle()
        encoded = min(burst.pulled, 20)
        streamkit.drain()
        while b"retry: " not in client.body:
            client.read_on()
            await asyncio.sleep(0.001)
        burst.gate.set()
        client.read_on()
        await task
        found = [event.data for event in events(client.body)[0]]
        assert found == NUMBERS[: len(found)]
        assert len(found) >= encoded
        assert client.body.count(b"retry: ") == 1
        assert client.ended
        assert ends.told[0][1].frames == len(found)

    run(work())


def test_stream_that_is_opened_while_the_process_leaves_ends_too() -> None:
    """After a signal nobody else would tell it."""

    async def work() -> None:
        register().leaving = True
        cut = Open(policy=StreamPolicy(drain="cut"))
        await cut.task
        assert events(cut.client.body)[0] == []
        assert cut.client.head[0] == 200
        assert cut.client.ended
        assert cut.ends.reasons == ["drained"]
        finish = Open()
        await finish.take(NO_IDS[0])
        await finish.clock.advance(10)
        with pytest.raises(StreamCutError):
            await finish.task
        assert finish.ends.reasons == ["drained"]

    run(work())


def test_drain_by_hand_leaves_later_streams_alone() -> None:
    """An app may empty itself and go on."""

    async def work() -> None:
        assert streamkit.drain() == 0
        at = Open()
        await at.take(*IDS)
        at.fed.finish()
        await at.task
        assert at.ends.reasons == ["completed"]

    run(work())
