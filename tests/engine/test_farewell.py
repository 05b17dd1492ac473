"""The last a client hears of a stream that is cut cleanly, and clients that do not hear it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import streamkit
from streamkit import StreamCutError, StreamPolicy
from tests.engine.drive import Client, response, run, scope
from tests.engine.fake_clock import FakeClock, settle
from tests.engine.lives import Burst, Ends, events, eventually
from tests.engine.opened import IDS, Open

BY_MODE = pytest.mark.parametrize("mode", ["sync", "asynchronous"])


@BY_MODE
def test_client_that_does_not_read_at_the_cut_is_given_up_after_the_grace(mode: str) -> None:
    """The process does not wait for it longer; its body does not end cleanly."""

    async def work() -> None:
        at = Open(mode)
        await at.take(IDS[0])
        at.client.stop_reading()
        at.fed.put(IDS[1])
        await eventually(lambda: at.client._inside)
        streamkit.drain()
        at.fed.finish()
        await at.clock.advance(9.9)
        assert not at.task.done()
        await at.clock.advance(0.2)
        with pytest.raises(StreamCutError, match="drained"):
            await at.task
        assert at.events == ["a"]
        assert not at.client.ended
        assert at.ends.reasons == ["drained"]

    run(work())


@BY_MODE
def test_client_that_does_not_read_the_farewell_is_given_up_too(mode: str) -> None:
    """It may also stop when everything but the last line has been sent."""

    async def work() -> None:
        at = Open(mode)
        await at.take(IDS[0])
        at.client.stop_reading()
        streamkit.drain()
        at.fed.finish()
        await eventually(lambda: at.client._inside)
        await at.clock.advance(10)
        with pytest.raises(StreamCutError, match="drained"):
            await at.task
        assert at.ends.reasons == ["drained"]
        assert not at.client.ended

    run(work())


def test_nothing_is_sent_again_after_a_send_was_given_up() -> None:
    """A send from aside is under way at the cut, and the farewell waits behind it."""

    async def work() -> None:
        clock, client, burst, ends = FakeClock(), Client(), Burst(), Ends()
        policy = StreamPolicy(drain="cut", grace=10, send_timeout=None)
        built = response(burst.asynchronous(), clock=clock, policy=policy, on_close=ends)

        async def send(event: Any) -> None:
            if event.get("body"):
                client.stop_reading()
            await client.send(event)

        task = asyncio.create_task(built(scope(), client.receive, send))
        await eventually(lambda: client._inside and client.sending == 3)
        await settle()
        streamkit.drain()
        await clock.advance(10)
        with pytest.raises(StreamCutError, match="drained"):
            await task
        assert client.body == b""
        assert client.sending == 3  # the head, its empty body and the one that was given up
        assert ends.reasons == ["drained"]

    run(work())


async def held_at_the_farewell() -> Open:
    """Return a stream whose client does not read the farewell that is sent."""
    at = Open()
    await at.take(IDS[0])
    at.client.stop_reading()
    streamkit.drain()
    await eventually(lambda: at.client._inside)
    return at


def test_client_that_leaves_at_the_farewell_is_no_error() -> None:
    """The disconnect ends what it has interrupted; the reason stays."""

    async def work() -> None:
        at = await held_at_the_farewell()
        at.client.leave()
        await at.task
        assert at.ends.reasons == ["drained"]
        assert at.task.cancelling() == 0

    run(work())


def test_server_that_cancels_the_farewell_is_obeyed() -> None:
    """A cancellation of the server's own is not swallowed."""

    async def work() -> None:
        at = await held_at_the_farewell()
        at.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await at.task
        assert at.ends.reasons == ["drained"]

    run(work())


def test_send_that_fails_at_the_farewell_raises_what_the_server_raised() -> None:
    """An OSError is a client that has left; anything else is the host's."""

    async def work() -> None:
        for error in OSError(), LookupError("server"):
            at = Open()
            await at.take(IDS[0])
            at.client.send_error = error
            streamkit.drain()
            if isinstance(error, OSError):
                await at.task
            else:
                with pytest.raises(LookupError, match="server"):
                    await at.task
            assert at.ends.reasons == ["drained"]

    run(work())


@pytest.mark.parametrize(("retry", "least", "most"), [(None, 1000, 5000), (0, 0, 4000), (60_000, 60_000, 64_000)])
def test_time_to_come_back_is_the_policy_s_and_up_to_four_seconds_more(
    retry: int | None, least: int, most: int
) -> None:
    """Those that are sent away together do not come back together."""

    async def work() -> None:
        told = set()
        for _ in range(20):
            at = Open(policy=StreamPolicy(retry=retry, keepalive=None))
            await at.take(IDS[0])
            streamkit.drain()
            await at.task
            told.add(events(at.client.body)[1])
        assert len(told) > 10
        assert all(time is not None and least <= time <= most for time in told)

    run(work())
