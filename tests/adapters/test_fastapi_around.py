"""What FastAPI puts around an endpoint that streams: dependencies, validation, its own wrapper, the thread pool."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from types import FunctionType
from typing import Annotated, Any

import fastapi.routing
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Response

from streamkit.fastapi import (
    EventStreamResponse,
    primed,
)
from tests.adapters.fastapi_app import async_items, get
from tests.adapters.watched import Watched, host


def test_headers_and_cookies_of_a_dependency_are_sent() -> None:
    """What a dependency sets on the injected Response reaches the client and replaces our default."""

    def no_store(response: Response) -> None:
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Ours"] = "1"
        response.set_cookie("seen", "1")

    app = FastAPI()
    app.get("/", response_class=EventStreamResponse, dependencies=[Depends(no_store)])(async_items)
    answer = get(app)
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert answer.headers["x-ours"] == "1"
    assert answer.cookies["seen"] == "1"


@pytest.mark.parametrize("yielding", [True, False])
def test_dependency_that_yields_is_closed_after_the_stream(*, yielding: bool) -> None:
    """What a dependency opens is open for the whole stream, and background tasks come before it is closed."""
    order: list[str] = []

    async def resource() -> AsyncIterator[str]:
        order.append("open")
        yield "value"
        order.append("close")

    async def items(value: str) -> AsyncIterator[str]:
        yield value
        await asyncio.sleep(0)
        order.append("streamed")

    app = FastAPI()

    @app.get("/True", response_class=EventStreamResponse)
    async def yields(value: Annotated[str, Depends(resource)], tasks: BackgroundTasks) -> AsyncIterator[str]:
        tasks.add_task(order.append, "task")
        async for item in items(value):
            yield item

    @app.get("/False")
    async def returns(value: Annotated[str, Depends(resource)], tasks: BackgroundTasks) -> EventStreamResponse:
        tasks.add_task(order.append, "task")
        return EventStreamResponse(items(value))

    assert get(app, f"/{yielding}").text == "data: value\n\n"
    assert order == ["open", "streamed", "task", "close"]


def test_dependency_that_refuses_gives_its_status() -> None:
    """A permission check in a dependency answers before there is a stream."""

    def refuse() -> None:
        raise HTTPException(401)

    app = FastAPI()
    app.get("/", response_class=EventStreamResponse, dependencies=[Depends(refuse)])(async_items)
    assert get(app).status_code == 401


def test_endpoint_that_refuses_before_its_first_item_gives_its_status() -> None:
    """A permission check at the top of a yielding endpoint is a 403 to the client, sync and async."""
    app = FastAPI()

    @app.get("/sync", response_class=EventStreamResponse)
    def sync_refusal() -> Iterator[str]:
        raise HTTPException(403, "not yours")
        yield ""

    @app.get("/async", response_class=EventStreamResponse)
    async def async_refusal() -> AsyncIterator[str]:
        raise HTTPException(403, "not yours")
        yield ""

    for path in ("/sync", "/async"):
        answer = get(app, path)
        assert (answer.status_code, answer.json()) == (403, {"detail": "not yours"})


def test_primed_source_gives_its_status_late() -> None:
    """A source that waits before it refuses is a 403 when an endpoint awaits `primed`."""

    async def refuses_late() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        raise HTTPException(403)
        yield ""

    app = FastAPI()

    @app.get("/")
    async def endpoint() -> EventStreamResponse:
        return EventStreamResponse(await primed(refuses_late()))

    assert get(app).status_code == 403


def test_bad_parameters_are_answered_422() -> None:
    """FastAPI validates the request of a yielding endpoint before the stream begins."""
    app = FastAPI()

    @app.get("/", response_class=EventStreamResponse)
    async def count(to: int) -> AsyncIterator[int]:
        yield to

    assert get(app, "/?to=x").status_code == 422
    assert get(app, "/?to=3").text == "data: 3\n\n"


def test_async_endpoint_is_streamed_without_fastapis_wrapper() -> None:
    """The source of the stream is the endpoint's own generator; when this fails, FastAPI has changed its wrapper."""
    sources: list[Any] = []

    class Spy(EventStreamResponse):
        def _prepare(self, content: object, **given: object) -> None:
            super()._prepare(content, **given)
            sources.append(self._stream.source)

    app = FastAPI()
    app.get("/", response_class=Spy)(async_items)
    get(app)
    assert [source.ag_code for source in sources] == [async_items.__code__]


def test_wrapper_of_another_shape_is_streamed_as_it_is() -> None:
    """Should FastAPI wrap endpoints otherwise, they still stream, and are closed when the client leaves."""
    source = Watched()

    async def wrapper(first: Any, second: Any) -> AsyncIterator[Any]:
        async for item in first:
            yield item

    foreign = FunctionType(wrapper.__code__, vars(fastapi.routing))
    app = FastAPI()

    @app.get("/")
    async def endpoint() -> EventStreamResponse:
        return EventStreamResponse(foreign(source.items(), async_items()))

    with host(app) as server, server.open("/") as stream:
        source.pipe.put("one")
        stream.read_until(b"data: one\n\n")
        stream.leave()
        assert source.closed.wait(3)


def test_own_generator_is_never_looked_into() -> None:
    """A generator of the application that takes another one as argument is the source itself."""

    async def counted(items: AsyncIterator[Any]) -> AsyncIterator[int]:
        number = 0
        async for _ in items:
            number += 1
        yield number

    app = FastAPI()

    @app.get("/")
    async def endpoint() -> EventStreamResponse:
        return EventStreamResponse(counted(async_items()))

    assert get(app).text == "data: 4\n\n"


@pytest.mark.parametrize("raise_after_leave", [False, True])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_yielding_endpoint_is_closed_once_when_the_client_leaves(mode: str, *, raise_after_leave: bool) -> None:
    """Items arrive one by one; after a disconnect the endpoint's `finally` runs once, awaits included."""
    source = Watched()
    app = FastAPI()

    @app.get("/async", response_class=EventStreamResponse)
    async def async_endpoint() -> AsyncIterator[Any]:
        try:
            async for item in source.pipe:
                yield item
        finally:
            await asyncio.sleep(0)
            source.close()

    @app.get("/sync", response_class=EventStreamResponse)
    def sync_endpoint() -> Iterator[Any]:
        try:
            yield from source.pipe
        finally:
            source.close()

    with host(app, raise_after_leave=raise_after_leave) as server, server.open(f"/{mode}") as stream:
        for item in ("one", "two"):
            source.pipe.put(item)
            stream.read_until(item.encode())
        stream.leave()
        source.pipe.close()
        assert source.closed.wait(3)
        assert stream.done.wait(3)
        assert source.ends == 1
        assert server.errors == []


def test_blocked_sync_endpoints_leave_other_endpoints_answering() -> None:
    """Twice as many yielding `def` endpoints wait as the thread pool has threads, and a `def` endpoint answers."""
    gate = threading.Event()
    app = FastAPI()

    @app.get("/", response_class=EventStreamResponse)
    def blocked() -> Iterator[str]:
        yield "first"
        gate.wait(30)

    @app.get("/answer")
    def answer() -> str:
        return "here"

    with host(app) as server:
        streams = [server.open("/") for _ in range(80)]
        try:
            for stream in streams:
                stream.read_until(b"first")
            assert server.open("/answer").read_to_end(within=3) == b'"here"'
        finally:
            gate.set()
        for stream in streams:
            stream.read_to_end()
