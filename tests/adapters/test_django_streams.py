"""Each kind of view and source of `streamkit.django` under each handler, from the first item to the end.

"Item by item" is shown by sources that the tests feed: the next item exists only when the one before has arrived.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("django")

from django.core.exceptions import PermissionDenied
from django.core.signals import request_finished
from django.test import AsyncClient, Client, RequestFactory

from streamkit import StreamPolicy
from streamkit.django import (
    EventStreamResponse,
    NDJSONResponse,
    TextStreamResponse,
    primed,
)
from tests.adapters.django_project import (
    Fed,
    Interface,
    Kind,
    as_view,
    by_interface,
    by_request,
    by_source,
    by_view,
    project,
    request_of,
    serving,
)
from tests.engine.lives import Ends


def numbers() -> Iterator[int]:
    """Yield 1 and 2."""
    yield from (1, 2)


async def numbers_async() -> AsyncIterator[int]:
    """Yield 1 and 2."""
    for number in (1, 2):
        yield number
        await asyncio.sleep(0)


def refused() -> Iterator[int]:
    """Refuse before the first item."""
    raise PermissionDenied
    yield 1


async def refused_async() -> AsyncIterator[int]:
    """Refuse before the first item."""
    raise PermissionDenied
    yield 1


SOURCES: dict[Kind, Callable[[], Any]] = {"sync": numbers, "async": numbers_async}
REFUSED: dict[Kind, Callable[[], Any]] = {"sync": refused, "async": refused_async}


@by_interface
@by_view
@by_source
@by_request
def test_items_come_one_by_one(interface: Interface, view: Kind, source: Kind, given: bool) -> None:
    """Each kind of view and source streams under each handler, with and without the request."""
    fed = Fed()

    def respond(request: Any) -> Any:
        return EventStreamResponse(fed.source(source), request=request if given else None)

    with serving(interface, as_view(view, respond)) as host, host.open("/") as stream:
        assert stream.head().status == 200
        for number in range(3):
            fed.put(number)
            stream.read_until(b"data: %d\n\n" % number)
        fed.pipe.close()
        stream.read_to_end()
        assert stream.clean
    assert fed.closed.wait(2)


@by_view
@by_source
@by_request
def test_client_reads_a_finite_stream(view: Kind, source: Kind, given: bool) -> None:
    """Django's test client reads each kind as its documentation shows; what was read to its end has ended."""
    ends = Ends()

    def respond(request: Any) -> Any:
        return NDJSONResponse(SOURCES[source](), request=request if given else None, on_close=ends)

    with project(as_view(view, respond)):
        response: Any = Client().get("/")
        if response.is_async:  # an async source in an async view without the request, as with Django's own response
            assert (view, source, given) == ("async", "async", False)
            assert asyncio.run(_joined(response.streaming_content)) == b"1\n2\n"
        else:
            assert b"".join(response.streaming_content) == b"1\n2\n"
    assert response.closed
    assert ends.reasons == ["completed"]


@by_view
@by_source
@by_request
def test_async_client_reads_a_finite_stream(view: Kind, source: Kind, given: bool) -> None:
    """Django's async test client reads each kind as its documentation shows; what was read to its end has ended."""
    ends = Ends()

    def respond(request: Any) -> Any:
        return NDJSONResponse(SOURCES[source](), request=request if given else None, on_close=ends)

    async def read() -> None:
        response: Any = await AsyncClient().get("/")
        if response.is_async:
            assert await _joined(response.streaming_content) == b"1\n2\n"
        else:  # nothing tells a sync view of this client from one under WSGI
            assert (view, given) == ("sync", False)
            assert b"".join(response.streaming_content) == b"1\n2\n"
        assert response.closed
        assert ends.reasons == ["completed"]

    with project(as_view(view, respond)):
        asyncio.run(read())


async def _joined(chunks: Any) -> bytes:
    return b"".join([chunk async for chunk in chunks])


class BothWays:
    """An iterable as a QuerySet is: `for` and `async for`."""

    def __iter__(self) -> Iterator[str]:
        return iter(["by for"])

    async def __aiter__(self) -> AsyncIterator[str]:
        yield "by async for"


@pytest.mark.parametrize(("interface", "way"), [("asgi", b"by async for"), ("wsgi", b"by for")])
def test_source_of_both_kinds_is_iterated_as_its_handler_is(interface: Interface, way: bytes) -> None:
    """What can be iterated both ways, such as a QuerySet, goes the way of the handler."""
    with serving(interface, lambda request: TextStreamResponse(BothWays(), request=request)) as host:
        assert host.open("/").read_to_end() == way


# -- errors ----------------------------------------------------------------------------------------------------------


@by_interface
@by_view
@by_source
def test_primed_source_that_refuses_is_403(interface: Interface, view: Kind, source: Kind) -> None:
    """What a primed source raises before its first item is Django's own error response."""

    def respond(request: Any) -> Any:
        return EventStreamResponse(primed(REFUSED[source]()), request=request)

    async def respond_async(request: Any) -> Any:
        return EventStreamResponse(await primed(REFUSED[source]()), request=request)

    with serving(interface, respond if view == "sync" else respond_async) as host:
        stream = host.open("/")
        stream.read_to_end()
        assert stream.head().status == 403


@by_interface
@by_view
@by_source
def test_primed_source_streams_on(interface: Interface, view: Kind, source: Kind) -> None:
    """A primed source goes on after its first item, also when asgiref ran the view on a loop of its own."""
    fed = Fed()
    fed.put("first")

    def respond(request: Any) -> Any:
        return EventStreamResponse(primed(fed.source(source)), request=request)

    async def respond_async(request: Any) -> Any:
        return EventStreamResponse(await primed(fed.source(source)), request=request)

    with serving(interface, respond if view == "sync" else respond_async) as host, host.open("/") as stream:
        stream.read_until(b"data: first\n\n")
        fed.put("second")
        stream.read_until(b"data: second\n\n")
        fed.pipe.close()
        stream.read_to_end()
        assert stream.clean
    assert fed.closed.wait(2)


def test_primed_source_of_a_head_request_is_closed() -> None:
    """A source that runs already, for a response that never reads it, ends."""
    fed = Fed()
    fed.put("first")
    response = EventStreamResponse(primed(fed.source("sync")), request=RequestFactory().head("/"))
    assert fed.closed.wait(2)
    response.close()


# -- the end ---------------------------------------------------------------------------------------------------------


@by_interface
@by_view
@by_source
def test_source_is_closed_when_the_client_leaves(interface: Interface, view: Kind, source: Kind) -> None:
    """The source's `finally` runs, and Django hears that the request has finished."""
    fed, finished = Fed(), threading.Event()

    def respond(request: Any) -> Any:
        return EventStreamResponse(fed.source(source), request=request, policy=StreamPolicy(keepalive=0.05))

    def hear(**_: Any) -> None:
        finished.set()

    request_finished.connect(hear)
    try:
        with serving(interface, as_view(view, respond)) as host, host.open("/") as stream:
            fed.put(1)
            stream.read_until(b"data: 1\n\n")
            stream.leave()
            assert fed.is_closed()
            assert finished.wait(2)
    finally:
        request_finished.disconnect(hear)


@by_source
def test_closing_a_response_closes_its_source(source: Kind) -> None:
    """response.close() alone ends a stream that is being read."""
    fed = Fed()
    fed.put(1)
    response = EventStreamResponse(fed.source(source), request=request_of("wsgi"))
    body = iter(response)
    while b"data" not in next(body):
        pass
    response.close()  # the sync source runs in this thread, and has come back with its item
    assert fed.closed.wait(2)


@by_interface
def test_failing_source_cuts_the_connection(interface: Interface) -> None:
    """The original exception reaches the server, so that nobody takes half an answer for a whole one."""

    def failing() -> Iterator[int]:
        yield 1
        raise LookupError("planned")

    with serving(interface, lambda request: NDJSONResponse(failing(), request=request)) as host:
        stream = host.open("/")
        assert stream.read_to_end() == b"1\n"
        assert not stream.clean
        assert "LookupError" in stream.describe() + host.log()
