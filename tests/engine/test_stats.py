"""What a process knows of its streams, and how some of them are ended."""

from __future__ import annotations

import asyncio
import dataclasses
import threading

import pytest

import streamkit
from streamkit import Stats, StreamCutError, StreamPolicy
from streamkit.asgi import EventStreamResponse
from tests.engine.drive import LIMIT, Client, WSGIClient, run, scope
from tests.engine.drive import response as asgi_response
from tests.engine.fake_clock import FakeClock
from tests.engine.interpreter import python
from tests.engine.lives import Ends, Fed, events, wait_for
from tests.engine.opened import IDS, Open


def since(before: Stats) -> Stats:
    """Return the figures of now, less those that only grow."""
    now = streamkit.stats()
    ends = {reason: count - before.ends.get(reason, 0) for reason, count in now.ends.items()}
    return dataclasses.replace(
        now,
        opened=now.opened - before.opened,
        frames=now.frames - before.frames,
        bytes=now.bytes - before.bytes,
        ends={reason: count for reason, count in ends.items() if count},
    )


def test_figures_follow_streams_while_they_are_open_and_afterwards() -> None:
    """What is open and how old; what was sent, by streams that are open and by those that have ended."""
    before = streamkit.stats()
    clock, fed = FakeClock(), Fed()
    assert (before.open, before.oldest_age, before.threads) == (0, 0.0, 0)
    client = WSGIClient(fed.sync(), clock=clock)
    next(client.body)
    clock._now += 5
    second = WSGIClient(Fed().asynchronous(), clock=clock)
    fed.put("a")
    assert next(client.body) == b"data: a\n\n"
    wait_for(lambda: fed.waiting)
    fed.put("b")
    assert next(client.body) == b"data: b\n\n"  # back for more: the first was taken
    now = since(before)
    assert (now.open, now.opened, now.frames, now.bytes, now.ends) == (2, 2, 2, 9, {})
    assert (now.oldest_age, now.threads) == (5.0, 1)
    assert now.slowest_flush > 0
    second.close()
    fed.finish()
    list(client.body)
    client.close()
    wait_for(lambda: streamkit.stats().threads == 0)
    now = since(before)
    assert (now.open, now.opened, now.frames, now.bytes) == (0, 2, 2, 18)
    assert now.ends == {"disconnected": 1, "completed": 1}
    assert now.oldest_age == 0.0
    assert isinstance(hash(now), int)


def test_figures_of_many_threads_add_up() -> None:
    """Streams that end at the same time in several threads are all counted."""
    before = streamkit.stats()
    threads = [
        threading.Thread(target=lambda: [WSGIClient(["a"], threads=False).read() for _ in range(50)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    now = since(before)
    assert (now.open, now.opened, now.frames, now.ends) == (0, 400, 400, {"completed": 400})


def test_key_ends_its_own_streams_alone_from_any_thread() -> None:
    """A logout in one request ends the streams of others; who resumes is told when to come back."""

    async def work() -> None:
        ann, bob, none = Open(key="ann"), Open(key="bob"), Open()
        also = Open(key="ann", method="POST")
        for stream in ann, bob, none, also:
            await stream.take(IDS[0])
        assert await asyncio.to_thread(streamkit.close_streams, "ann") == 2
        await ann.task
        with pytest.raises(StreamCutError, match="closed"):
            await also.task
        assert ann.ends.reasons == also.ends.reasons == ["closed"]
        assert ann.client.ended
        assert events(ann.client.body)[1] is not None
        assert not also.client.ended
        assert streamkit.close_streams("ann") == 0
        for stream in bob, none:
            assert not stream.task.done()
            stream.fed.finish()
            await stream.task
            assert stream.ends.reasons == ["completed"]

    run(work())


def test_keys_are_compared_by_value() -> None:
    """A tuple of tenant and user does as well as a number."""

    async def work() -> None:
        client, ends, fed = Client(), Ends(), Fed()
        policy = StreamPolicy(drain="cut")
        built = asgi_response(fed.asynchronous(), key=("acme", 7), on_close=ends, policy=policy)
        task = asyncio.create_task(built(scope(), client.receive, client.send))
        fed.put("a")
        await client.arrived(1)
        assert streamkit.close_streams(("acme", 8)) == 0
        assert streamkit.close_streams(("acme", 7)) == 1
        await task
        assert ends.told[0][1].key == ("acme", 7)

    run(work())


def test_key_that_cannot_be_one_is_refused() -> None:
    """In the view that opens, and where streams are closed."""
    with pytest.raises(TypeError, match=r"key must be hashable, such as a user's id, not \['ann'\]"):
        EventStreamResponse([], key=["ann"])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="key must be hashable"):
        streamkit.close_streams({})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not None"):
        streamkit.close_streams(None)


def test_forked_child_starts_at_zero_and_closes_nothing_of_its_parent() -> None:
    """It has the memory of the parent's streams and none of them; its first threads agree on one register."""
    out, err = python(
        """
        import streamkit
        told = []
        limit = streamkit.StreamLimit(1)
        body = opened(sync_items(), limit=limit, key="ann", on_close=lambda reason, stats: told.append(reason))
        inline = EventStreamResponse(sync_items(), on_close=lambda reason, stats: told.append(reason))(
            {"REQUEST_METHOD": "GET"}, lambda *args: None)
        next(body), next(body), next(inline)
        assert streamkit.stats().open == 2
        pid = os.fork()
        if not pid:
            assert streamkit.stats().open == streamkit.stats().opened == 0, streamkit.stats()
            assert streamkit.close_streams("ann") == streamkit.drain() == limit.open == 0
            del inline
            gc.collect()
            assert told == [], told
            assert limit.open == 0, limit.open
            assert read(sync_items(), limit=limit) == WHOLE
            assert (limit.open, streamkit.stats().opened) == (0, 1)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert limit.open == 1
        list(body), body.close(), list(inline), inline.close()
        print(told, limit.open, streamkit.stats().open)
        """
    )
    assert out == "['completed', 'completed'] 0 0\n"
    assert err == ""
