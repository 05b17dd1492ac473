"""A stream on WSGI that must end, wherever its source runs: the server's thread, one of ours, or our loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

import streamkit
from streamkit import NDJSON, StreamCutError, StreamPolicy
from streamkit._engine.background import background_loop
from streamkit.wsgi import _Response
from tests.engine.drive import LIMIT, WSGIClient, no_item_is_slow
from tests.engine.fake_clock import FakeClock
from tests.engine.lives import NUMBERS, Burst, Ends, Fed, events, wait_for
from tests.engine.opened import IDS, SSE

EVERYWHERE = pytest.mark.parametrize(
    ("mode", "threads"), [("sync", True), ("sync", False), ("asynchronous", True)], ids=["thread", "inline", "loop"]
)


@pytest.mark.parametrize("mode", ["sync", "asynchronous"])
@pytest.mark.parametrize("size", [65_536, 100])
def test_what_was_encoded_for_wsgi_before_the_cut_is_sent_once(
    mode: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what the pump on our loop has gathered behind a full buffer."""
    no_item_is_slow(monkeypatch)
    burst, ends = Burst(), Ends()
    policy = StreamPolicy(drain="cut", buffer_size=size, grace=60)
    client = WSGIClient(getattr(burst, mode)(), policy=policy, on_close=ends)
    body = next(client.body)
    wait_for(lambda: burst.pulled >= (21 if size > 100 else 6))
    pulled = burst.pulled
    streamkit.drain()
    body += b"".join(client.body)
    burst.gate.set()
    client.close()
    found, retry = events(body)
    assert [event.data for event in found] == NUMBERS[: len(found)]
    assert len(found) == 20 if size > 100 else len(found) >= pulled - 1  # one may have waited for room
    assert retry is not None
    assert ends.reasons == ["drained"]


@EVERYWHERE
def test_wsgi_stream_is_cut_cleanly(mode: str, threads: bool) -> None:
    """In the server's thread, where it ends after its next item, in one of ours, and on our loop."""
    ends = Ends()
    fed = Fed(ends.seen)
    client = WSGIClient(getattr(fed, mode)(), threads=threads, accept=SSE, on_close=ends)
    fed.put(IDS[0])
    body = next(client.body) + next(client.body)
    fed.put(IDS[1])
    if threads:
        wait_for(lambda: client.body._producer.handoff._items)  # encoded, and not taken yet
    body += next(client.body)  # here at the latest the id of the first has left
    assert streamkit.drain() == 1
    body += b"".join(client.body)
    fed.finish()
    client.close()
    found, retry = events(body)
    assert [event.data for event in found] == ["a", "b"]
    assert retry is not None
    assert body.endswith(b"\n\nretry: %d\n" % retry)
    assert ends.reasons == ["drained"]


@EVERYWHERE
def test_wsgi_stream_that_does_not_finish_is_cut_off(mode: str, threads: bool) -> None:
    """The server is raised an error to, which is how it learns to cut the connection."""
    clock, ends, fed = FakeClock(), Ends(), Fed()
    client = WSGIClient(getattr(fed, mode)(), threads=threads, method="POST", clock=clock, on_close=ends)
    fed.put("a")
    assert next(client.body) + next(client.body) in {b"data: a\n\n", b":\ndata: a\n\n"}
    assert streamkit.drain() == 1
    wait_for(lambda: 1 in clock.pending)
    asyncio.run_coroutine_threadsafe(clock.advance(1), background_loop()).result(LIMIT)
    fed.put("b")
    with pytest.raises(StreamCutError, match="drained"):
        b"".join(client.body)
    fed.finish()
    client.close()
    assert ends.reasons == ["drained"]


@EVERYWHERE
def test_wsgi_stream_that_finishes_in_its_grace_is_whole(mode: str, threads: bool) -> None:
    """With its end item."""
    clock, ends, fed = FakeClock(), Ends(), Fed()
    client = WSGIClient(getattr(fed, mode)(), threads=threads, clock=clock, on_close=ends, end="end")
    fed.put("a")
    next(client.body)
    next(client.body)
    streamkit.drain()
    fed.put("b")
    fed.finish()
    assert b"".join(client.body).endswith(b"data: b\n\ndata: end\n\n")
    client.close()
    assert ends.reasons == ["completed"]


def test_wsgi_reader_that_does_not_come_back_at_a_cut_is_given_up() -> None:
    """Its source is closed although nobody reads, and a late reader sees no clean end."""
    clock, ends = FakeClock(), Ends()
    fed = Fed(ends.seen)
    client = WSGIClient(fed.asynchronous(), accept=SSE, clock=clock, on_close=ends)
    fed.put(IDS[0])
    next(client.body)
    next(client.body)
    fed.put(IDS[1])
    wait_for(lambda: client.body._producer.handoff._items)
    streamkit.drain()
    wait_for(lambda: 1 in clock.pending)
    asyncio.run_coroutine_threadsafe(clock.advance(1), background_loop()).result(LIMIT)
    wait_for(lambda: "closed" in ends.seen)
    with pytest.raises(StreamCutError):
        b"".join(client.body)
    client.close()
    assert ends.reasons == ["drained"]


def test_inline_stream_waits_for_its_item_and_still_ends_cleanly() -> None:
    """Its thread is inside the source; its client reads, and resumes."""
    clock, ends, fed = FakeClock(), Ends(), Fed()
    client = WSGIClient(fed.sync(), threads=False, accept=SSE, clock=clock, on_close=ends)
    fed.put(IDS[0])
    next(client.body)
    next(client.body)
    rest: list[bytes] = []
    server = threading.Thread(target=lambda: rest.extend(client.body))
    server.start()
    wait_for(lambda: fed.waiting)
    streamkit.drain()
    assert clock.pending == []
    fed.put(IDS[1])
    server.join(LIMIT)
    found, retry = events(b"".join(rest))
    assert [event.data for event in found] == ["b"]
    assert retry is not None
    client.close()
    assert ends.reasons == ["drained"]


def test_formats_of_wsgi_other_than_event_streams_say_nothing() -> None:
    """A clean end, no farewell."""
    fed = Fed()
    client = WSGIClient(
        fed.asynchronous(), format=NDJSON(), kind=_Response, policy=StreamPolicy(drain="cut"), end="end"
    )
    fed.put("a")
    body = next(client.body) + next(client.body)
    streamkit.drain()
    assert body + b"".join(client.body) == b'"a"\n'
    client.close()
