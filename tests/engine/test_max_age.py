"""A stream that has grown old ends as at a shutdown; its timer never outlives it."""

from __future__ import annotations

import asyncio

import pytest

from streamkit import Event, StreamCutError, StreamPolicy, asgi
from streamkit._engine.background import background_loop
from tests.engine.drive import LIMIT, Client, WSGIClient, run, scope, start, stream
from tests.engine.drive import response as asgi_response
from tests.engine.fake_clock import FakeClock, settle
from tests.engine.lives import Ends, Fed, events, eventually, wait_for

OLD = StreamPolicy(max_age=600, keepalive=None)


def test_age_is_up_to_a_tenth_less_and_not_the_same_for_all() -> None:
    """Streams that began together do not all come back together."""

    async def work() -> None:
        clock, fed, client = FakeClock(), Fed(), Client()
        tasks = [start(fed.asynchronous(), client, clock=clock, policy=OLD) for _ in range(20)]
        await settle()
        ages = clock.pending
        assert len(ages) == 20
        assert 540 <= ages[0] < ages[-1] <= 600
        fed.finish()
        await asyncio.gather(*tasks)

    run(work())


def test_old_stream_of_a_browser_that_resumes_is_cut_cleanly() -> None:
    """It is told when to come back; nobody sees an event that was none."""

    async def work() -> None:
        clock, fed, client, ends = FakeClock(), Fed(), Client(), Ends()
        built = asgi_response(fed.asynchronous(), clock=clock, policy=OLD, on_close=ends)
        task = asyncio.create_task(built(scope(accept="text/event-stream"), client.receive, client.send))
        fed.put(Event("a", id=1))
        await eventually(lambda: client.body)
        await clock.advance(539)
        assert ends.reasons == []
        await clock.advance(61)
        await task
        found, retry = events(client.body)
        assert [event.data for event in found] == ["a"]
        assert retry is not None
        assert client.ended
        assert ends.reasons == ["max_age"]
        assert clock.pending == []

    run(work())


def test_old_stream_that_must_finish_has_its_grace_and_is_cut() -> None:
    """A client that takes a clean end for a whole answer sees none."""

    async def work() -> None:
        clock, fed, client, ends = FakeClock(), Fed(), Client(), Ends()
        policy = StreamPolicy(max_age=600, grace=100, keepalive=None)
        task = start(fed.asynchronous(), client, clock=clock, policy=policy, on_close=ends)
        fed.put("a")
        await client.arrived(1)
        await clock.advance(600)
        assert 40 <= clock.pending[0] <= 100
        assert not task.done()
        await clock.advance(100)
        with pytest.raises(StreamCutError, match="max_age"):
            await task
        assert not client.ended
        assert ends.reasons == ["max_age"]
        assert clock.pending == []

    run(work())


def test_old_stream_that_finishes_within_its_grace_is_whole() -> None:
    """Its end item is sent and its reason is that it completed."""

    async def work() -> None:
        clock, fed, client, ends = FakeClock(), Fed(), Client(), Ends()
        task = start(fed.asynchronous(), client, clock=clock, policy=OLD, on_close=ends, end="end")
        await clock.advance(540)
        fed.put("a")
        fed.finish()
        await task
        assert client.body == b"data: a\n\ndata: end\n\n"
        assert client.ended
        assert ends.reasons == ["completed"]
        assert clock.pending == []

    run(work())


def test_stream_that_ends_before_it_is_old_leaves_no_timer() -> None:
    """By itself, by an error, by its client or by a refusal."""

    async def failing_thread_cap(client: Client, clock: FakeClock) -> None:
        from streamkit import set_max_threads

        set_max_threads(1)
        fed = Fed()
        first = start(fed.sync(), Client(), clock=FakeClock())
        await settle()
        await stream(iter("a"), client, clock=clock, policy=OLD)
        assert client.head[0] == 503
        fed.finish()
        await first

    async def work() -> None:
        clock = FakeClock()
        assert (await stream(iter("ab"), clock=clock, policy=OLD)).ended
        await settle()
        assert clock.pending == []
        client, fed = Client(), Fed()
        task = start(fed.asynchronous(), client, clock=clock, policy=OLD)
        await settle()
        client.leave()
        await task
        await settle()
        assert clock.pending == []
        await failing_thread_cap(Client(), clock)
        await settle()
        assert clock.pending == []

    run(work())


@pytest.mark.parametrize("mode", ["sync", "asynchronous"])
@pytest.mark.parametrize("threads", [True, False])
def test_stream_on_wsgi_ages_too(mode: str, threads: bool) -> None:
    """The clock runs on the loop that streamkit keeps; a source in the server's thread ends after its next item."""
    clock, fed, ends = FakeClock(), Fed(), Ends()
    policy = StreamPolicy(max_age=600, drain="cut", grace=100)
    client = WSGIClient(getattr(fed, mode)(), threads=threads, clock=clock, policy=policy, on_close=ends)
    fed.put("a")
    body = [next(client.body), next(client.body)]
    wait_for(lambda: any(539 < due < 601 for due in clock.pending))
    asyncio.run_coroutine_threadsafe(clock.advance(600), background_loop()).result(LIMIT)
    fed.put("b")
    body += list(client.body)
    client.close()
    found, retry = events(b"".join(body))
    assert found[0].data == "a"
    assert retry is not None
    assert ends.reasons == ["max_age"]
    wait_for(lambda: not [due for due in clock.pending if due > 20])  # nearer: to report a thread that is stuck


def test_timer_of_a_stream_on_wsgi_goes_with_it() -> None:
    """Whether it was read, left, or refused."""
    clock, fed = FakeClock(), Fed()
    assert WSGIClient(["a"], clock=clock, policy=OLD).read()
    left = WSGIClient(fed.asynchronous(), clock=clock, policy=OLD)
    next(left.body)
    left.close()
    wait_for(lambda: not [due for due in clock.pending if due > 20])  # nearer: to report a thread that is stuck


def test_max_age_as_a_class_attribute() -> None:
    """An app sets it for all its streams."""

    class News(asgi.EventStreamResponse):
        policy = OLD

    async def work() -> None:
        clock, fed = FakeClock(), Fed()
        task = start(fed.asynchronous(), Client(), clock=clock, kind=News)
        await settle()
        assert len(clock.pending) == 1
        fed.finish()
        await task

    run(work())
