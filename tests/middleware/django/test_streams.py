"""What the Django middleware gives a plain StreamingHttpResponse, under either handler."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

pytest.importorskip("django")

from django.http import StreamingHttpResponse

from streamkit import StreamLimit, StreamPolicy, drain, stats
from streamkit.testing._clock import ManualClock
from tests.adapters.django_project import Interface, Kind, by_interface, by_source, by_view
from tests.engine.lives import Ends, wait_for
from tests.middleware.django.site import SUBCLASS, Source, counting_requests, options, site
from tests.middleware.wsgi.apps import BROWSER


@by_interface
@by_view
@by_source
def test_items_leave_one_by_one_under_either_handler(interface: Interface, view: Kind, source: Kind) -> None:
    """Also a sync iterator under ASGI and an async one under WSGI, which Django itself reads to their end first."""
    fed, ends = Source(), Ends()
    with (
        options(on_close=ends),
        counting_requests() as over,
        site(interface, fed.respond(source), SUBCLASS, view=view) as host,
        host.open("/") as stream,
    ):
        assert stream.head().get("cache-control") == "no-cache, no-transform"
        assert stream.head().get("x-accel-buffering") == "no"
        for item in ("a", "b", "c"):
            fed.put(item)
            stream.read_until(f"data: {item}\n\n".encode())
        fed.pipe.close()
        assert stream.read_to_end() == b"data: a\n\ndata: b\n\ndata: c\n\n"
        assert stream.clean
        wait_for(lambda: over() == 1)
        assert ends.reasons == ["completed"]
        assert fed.ends == 1
        assert len(fed.threads) == 1


@by_interface
@by_source
def test_client_that_leaves_closes_the_content_once(interface: Interface, source: Kind) -> None:
    """In the thread that ran it; Django hears once that the request is over."""
    fed, ends = Source(), Ends()
    with (
        options(on_close=ends, policy=StreamPolicy(keepalive=0.05)),
        counting_requests() as over,
        site(interface, fed.respond(source), SUBCLASS) as host,
        host.open("/") as stream,
    ):
        fed.put("a")
        stream.read_until(b"data: a\n\n")
        stream.leave()
        # An async source is woken where it waits; what a thread is inside of ends with its next item.
        assert fed.closed.wait(5) if source == "async" else fed.is_closed(5)
        wait_for(lambda: over() == 1)
        wait_for(lambda: ends.reasons == ["disconnected"])
        wait_for(lambda: stats().threads == 0)
        assert fed.ends == 1
        assert len(fed.threads) == 1


@by_interface
def test_generator_that_never_awaits_ends_with_its_client(interface: Interface) -> None:
    """And lets others be served beside it."""
    closed = threading.Event()

    async def spinning() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: a\n\n"
        finally:
            closed.set()

    with counting_requests() as over, site(interface, lambda _: StreamingHttpResponse(spinning())) as host:
        with host.open("/") as stream:
            stream.read_until(b"data: a\n\n")
            with host.open("/") as other:
                other.read_until(b"data: a\n\n")
        assert closed.wait(5)
        wait_for(lambda: over() == 2)


@by_interface
@by_source
def test_head_request_never_starts_the_content(interface: Interface, source: Kind) -> None:
    """It is closed, and no stream is counted."""
    fed, ends, opened = Source(), Ends(), stats().opened
    closed = threading.Event()

    class Content:
        def __init__(self) -> None:
            self._events = fed.events(source)

        def close(self) -> None:
            closed.set()

    class SyncContent(Content):
        def __iter__(self) -> Iterator[str]:
            return iter(self._events)

    class AsyncContent(Content):
        def __aiter__(self) -> AsyncIterator[str]:
            return aiter(self._events)

    kind: Any = SyncContent if source == "sync" else AsyncContent
    with options(on_close=ends), site(interface, lambda _: StreamingHttpResponse(kind()), SUBCLASS) as host:
        stream = host.open("/", method="HEAD")
        assert stream.read_to_end() == b""
        assert stream.clean
        assert stream.head().get("x-accel-buffering") == "no"
        assert closed.wait(5)
    assert not fed.started.is_set()
    assert (ends.told, stats().opened) == ([], opened)


@by_interface
@by_source
def test_stream_over_the_limit_is_refused(interface: Interface, source: Kind) -> None:
    """A browser learns when to come back, anybody else gets 503; the content never starts."""
    fed, limit, opened = Source(), StreamLimit(1), stats().opened
    limit.acquire()
    with options(limit=limit), counting_requests() as over, site(interface, fed.respond(source), SUBCLASS) as host:
        browser = host.open("/", headers=BROWSER)
        assert browser.read_to_end().startswith(b"retry: ")
        assert (browser.status, browser.head().get("content-type")) == (200, "text/event-stream")
        other = host.open("/")
        assert b"as allowed (1)" in other.read_to_end()
        assert other.status == 503
        assert other.head().get("content-type") == "text/plain; charset=utf-8"
        assert int(other.head().get("retry-after") or 0) >= 1
        assert (browser.clean, other.clean) == (True, True)
        wait_for(lambda: over() == 2)
    assert not fed.started.is_set()
    assert (limit.open, stats().opened) == (1, opened)


@by_interface
@by_source
@pytest.mark.parametrize("content_type", ["text/event-stream", "text/csv"])
def test_error_of_the_content_cuts_the_connection(interface: Interface, source: Kind, content_type: str) -> None:
    """Half a stream must not pass for a whole one."""

    def failing() -> Iterator[bytes]:
        yield b"data: a\n\n"
        raise ValueError("half")

    async def failing_async() -> AsyncIterator[bytes]:
        yield b"data: a\n\n"
        await asyncio.sleep(0)  # what fails at once has sent nothing
        raise ValueError("half")

    def respond(_: object) -> StreamingHttpResponse:
        content: Any = failing() if source == "sync" else failing_async()
        return StreamingHttpResponse(content, content_type=content_type)

    ends = Ends()
    with options(on_close=ends), site(interface, respond, SUBCLASS) as host, host.open("/") as stream:
        assert stream.read_to_end() == b"data: a\n\n"
        assert not stream.clean
        wait_for(lambda: ends.reasons == ["error"])


@by_interface
def test_idle_stream_ends_at_a_shutdown(interface: Interface) -> None:
    """Cleanly for a browser that was sent an id, which comes back for the rest."""
    ends = Ends()

    async def idle() -> AsyncIterator[bytes]:
        yield b"id: 1\ndata: a\n\n"
        await asyncio.Event().wait()

    def respond(_: object) -> StreamingHttpResponse:
        return StreamingHttpResponse(idle(), content_type="text/event-stream")

    with options(on_close=ends), site(interface, respond, SUBCLASS) as host, host.open("/", headers=BROWSER) as stream:
        stream.read_until(b"data: a\n\n")
        drain()
        assert b"\n\nretry: " in stream.read_to_end()
        assert stream.clean
        wait_for(lambda: ends.reasons == ["drained"])


@by_interface
def test_idle_stream_of_another_client_is_cut_off_after_its_grace(interface: Interface) -> None:
    """It would take a clean end for a whole answer."""
    ends = Ends()

    async def idle() -> AsyncIterator[bytes]:
        yield b"data: a\n\n"
        await asyncio.Event().wait()

    def respond(_: object) -> StreamingHttpResponse:
        return StreamingHttpResponse(idle(), content_type="text/event-stream")

    with (
        options(on_close=ends, policy=StreamPolicy(grace=0.01)),
        site(interface, respond, SUBCLASS) as host,
        host.open("/") as stream,
    ):
        stream.read_until(b"data: a\n\n")
        drain()
        assert stream.read_to_end() == b"data: a\n\n"
        assert not stream.clean
        wait_for(lambda: ends.reasons == ["drained"])


# -- fillers ---------------------------------------------------------------------------------------------------------


@by_interface
@by_source
def test_silence_is_filled_between_events(interface: Interface, source: Kind) -> None:
    """By default; a sync source under WSGI has fillers since seconds are named."""
    fed = Source()
    with (
        options(policy=StreamPolicy(keepalive=0.02)),
        site(interface, fed.respond(source), SUBCLASS) as host,
        host.open("/") as stream,
    ):
        stream.read_until(b":\n:\n")
        fed.put("a")
        stream.read_until(b"data: a\n\n:\n")
        fed.pipe.close()
        stream.read_to_end()
        assert stream.clean


@pytest.mark.parametrize(("interface", "source"), [("asgi", "sync"), ("asgi", "async"), ("wsgi", "async")])
def test_silence_is_filled_unasked_where_it_takes_no_thread_from_the_view(
    interface: Interface, source: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every 15 seconds, which are fewer here."""
    monkeypatch.setattr("streamkit._engine.policy.DEFAULT_KEEPALIVE", 0.02)
    fed = Source()
    with site(interface, fed.respond(source)) as host, host.open("/") as stream:
        stream.read_until(b":\n:\n")
        fed.pipe.close()
        stream.read_to_end()
        assert stream.clean


@by_interface
@by_source
def test_nothing_is_filled_into_an_event_or_into_other_bytes(interface: Interface, source: Kind) -> None:
    """A line that has not ended its event stays alone, however long the silence."""
    gate = threading.Event()

    def halves() -> Iterator[bytes]:
        yield b"data: half\n"
        assert gate.wait(10)
        yield b"\n"

    async def halves_async() -> AsyncIterator[bytes]:
        yield b"data: half\n"
        assert await asyncio.to_thread(gate.wait, 10)
        yield b"\n"

    def respond(_: object) -> StreamingHttpResponse:
        content: Any = halves() if source == "sync" else halves_async()
        return StreamingHttpResponse(content, content_type="text/event-stream")

    clock = ManualClock()
    with (
        options(policy=StreamPolicy(keepalive=15), _clock=clock),
        site(interface, respond, SUBCLASS) as host,
        host.open("/") as stream,
    ):
        stream.read_until(b"data: half\n")
        wait_for(lambda: clock.pending or clock.sleeping)
        clock.advance_elsewhere(60)
        gate.set()
        assert stream.read_to_end() == b"data: half\n\n"


def test_sync_content_under_wsgi_stays_in_the_server_s_thread() -> None:
    """Unless seconds are named: what the view keeps by thread is there."""
    fed, views = Source(), set()

    def respond(request: Any) -> Any:
        views.add(threading.get_ident())
        return fed.respond("sync")(request)

    with site("wsgi", respond) as host, host.open("/") as stream:
        fed.put("a")
        stream.read_until(b"data: a\n\n")
        fed.pipe.close()
        stream.read_to_end()
        assert fed.threads == views
