"""Leaving: the connection is closed at once, whoever leaves and how."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import trio

from streamkit import InvalidEventError
from streamkit.client import AsyncReader, Reconnection, connect, connect_sync
from tests.client.reading import WITHIN, Kind, Reading, read
from tests.client.scripted import Answer, ScriptedServer

both = pytest.mark.parametrize("kind", ["async", "sync"])

OPEN = Answer(b"data: 1\n\nevent: done\ndata: 2\n\ndata: 3\n\n", "hold")


@both
@pytest.mark.parametrize("until", ["done", lambda item: item.data == "2"])
def test_reading_ends_behind_the_item_that_was_waited_for(kind: Kind, until: Any) -> None:
    """It is the last that is handed out; the connection that is still open is closed."""
    with ScriptedServer(OPEN) as server:
        reading = read(kind, server.url, until=until)
        assert server.left.wait(10)
    assert (reading.data, reading.error, len(server.asked)) == (["1", "2"], None, 1)


@both
def test_leaving_the_block_closes_the_connection(kind: Kind) -> None:
    """By break, with items left that had arrived."""
    with ScriptedServer(OPEN) as server:
        assert read(kind, server.url, take=1).data == ["1"]
        assert server.left.wait(10)


def test_leaving_a_bare_loop_closes_the_connection() -> None:
    """Without `with`, the reader goes with the loop."""
    with ScriptedServer(OPEN) as server:
        for event in connect_sync(server.url):
            assert event.data == "1"
            break
        assert server.left.wait(10)


def test_leaving_a_bare_async_loop_closes_the_connection() -> None:
    """Without `async with`, the event loop closes what was left, a moment later."""

    async def main() -> bool:
        async for event in connect(server.url):
            assert event.data == "1"
            break
        return await asyncio.to_thread(server.left.wait, 10)

    with ScriptedServer(OPEN) as server:
        assert asyncio.run(asyncio.wait_for(main(), WITHIN))


def test_async_block_closes_the_connection_before_it_is_left() -> None:
    """Not in another task and not later: your client has no open connection behind it."""

    async def main() -> None:
        async with httpx.AsyncClient() as client:
            async with connect(server.url, client=client) as events:
                async for _ in events:
                    assert connections(client)
                    break
            assert not connections(client)

    with ScriptedServer(OPEN) as server:
        asyncio.run(asyncio.wait_for(main(), WITHIN))


def test_block_closes_the_connection_before_it_is_left() -> None:
    """Also where somebody still holds the iterator."""
    with ScriptedServer(OPEN) as server, httpx.Client() as client:
        with connect_sync(server.url, client=client) as events:
            iterator = iter(events)
            next(iterator)
            assert connections(client)
        assert not connections(client)


def connections(client: Any) -> list[Any]:
    """Return the connections that a client has, idle ones included."""
    return list(client._transport._pool.connections)


def test_cancelled_task_closes_the_connection() -> None:
    """A reader that waits for the next event is woken and leaves."""

    async def follow(first: asyncio.Event) -> None:
        async with connect(server.url) as events:
            async for _ in events:
                first.set()

    async def main() -> None:
        first = asyncio.Event()
        task = asyncio.create_task(follow(first))
        await first.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    with ScriptedServer(OPEN) as server:
        asyncio.run(asyncio.wait_for(main(), WITHIN))
        assert server.left.wait(10)


def test_loop_ends_when_another_task_closes_the_reader() -> None:
    """Nobody is told of a failure then, and no pause for another connection is made."""
    reading = Reading()

    async def follow(reader: AsyncReader, first: asyncio.Event) -> None:
        async for _ in reader:
            first.set()

    async def main() -> None:
        first, reader = asyncio.Event(), connect(server.url, reconnection=reading.rules("async"))
        task = asyncio.create_task(follow(reader, first))
        await first.wait()
        await reader.aclose()
        await task

    with ScriptedServer(Answer(b"data: 1\n\n", "hold")) as server:
        asyncio.run(asyncio.wait_for(main(), WITHIN))
        assert server.left.wait(10)
        assert (len(server.asked), reading.told, reading.pauses) == (1, [], [])


class Torn(httpx.AsyncByteStream, httpx.SyncByteStream):
    """An answer whose connection cannot be closed in order."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"data: 1\n\n"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"

    def close(self) -> None:
        """Fail."""
        raise OSError("torn")

    async def aclose(self) -> None:
        """Fail."""
        raise OSError("torn")


@both
def test_own_client_is_closed_although_the_connection_could_not_be(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is raised, and nothing stays open."""

    async def read_one() -> None:
        reader = connect("http://test/")
        items = aiter(reader)
        assert (await anext(items)).data == "1"
        with pytest.raises(OSError, match="torn"):
            await reader.aclose()
        assert [client.is_closed for client in made] == [True]
        await items.aclose()

    name = "AsyncClient" if kind == "async" else "Client"
    head = {"Content-Type": "text/event-stream"}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, headers=head, stream=Torn()))
    make, made = getattr(httpx, name), list[Any]()

    def make_noted(**options: Any) -> Any:
        made.append(make(transport=transport, **options))
        return made[-1]

    monkeypatch.setattr(httpx, name, make_noted)
    if kind == "async":
        asyncio.run(asyncio.wait_for(read_one(), WITHIN))
        return
    reader = connect_sync("http://test/")
    items = iter(reader)
    assert next(items).data == "1"
    with pytest.raises(OSError, match="torn"):
        reader.close()
    assert [client.is_closed for client in made] == [True]
    items.close()


def test_reader_runs_under_trio() -> None:
    """With Trio's own sleep, a pause and all."""

    async def main() -> list[str]:
        async with connect(server.url, reconnection=Reconnection(sleep=trio.sleep)) as events:
            return [event.data async for event in events]

    with ScriptedServer(Answer(b"retry: 1\ndata: 1\n\n", "cut"), Answer(b"data: 2\n\n")) as server:
        assert trio.run(main) == ["1", "2"]


@both
def test_own_client_is_left_open(kind: Kind) -> None:
    """Its base URL and headers are used, and it can be used again."""
    make = httpx.AsyncClient if kind == "async" else httpx.Client
    with ScriptedServer(Answer(b"data: 1\n\n")) as server:
        client = make(base_url=server.url, headers={"Authorization": "Bearer t"})
        reading = read(kind, "/more", client=client)
    assert not client.is_closed
    assert (reading.data, reading.error) == (["1"], None)
    assert [(asked.target, asked.headers["authorization"]) for asked in server.asked] == [
        ("/stream/more", "Bearer t")
    ] * 2
    if isinstance(client, httpx.Client):
        client.close()
    else:
        asyncio.run(client.aclose())


def test_reader_is_read_once() -> None:
    """A second loop would look like a stream without events, so it is refused."""
    with ScriptedServer(Answer(b"data: 1\n\n")) as server:
        reader = connect_sync(server.url, until=lambda item: True)
        assert [event.data for event in reader] == ["1"]
        with pytest.raises(RuntimeError, match="closed"):
            list(reader)


def test_item_after_item_is_read_from_one_iterator() -> None:
    """Who wants the first event before the loop takes both from the same iterator."""
    with ScriptedServer(OPEN) as server, connect_sync(server.url, until="done") as events:
        iterator = iter(events)
        assert next(iterator).data == "1"
        assert [event.data for event in iterator] == ["2"]
        assert events.response is not None
        assert events.response.headers["content-type"] == "text/event-stream"


@pytest.mark.parametrize("make", [connect, connect_sync])
@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        (
            {"url": "example.com/news"},
            ValueError,
            "url begins with http:// or https:// and a host; got 'example.com/news'",
        ),
        ({"url": "http:///news"}, ValueError, "and a host; got 'http:///news'"),
        ({"idle_timeout": 0}, ValueError, "idle_timeout is a number of seconds above 0, or None; got 0"),
        ({"last_event_id": "a\nb"}, InvalidEventError, "id must not hold a line break"),
        ({"last_event_id": b"7"}, InvalidEventError, "id must be a str"),
        ({"content": iter([b"a"])}, TypeError, "content is sent anew with each connection"),
        ({"url": "ftp://ann:secret@example.com/"}, ValueError, "and a host; got 'ftp://example.com/'"),
        ({"url": "http://ann:secret@example.com:b/"}, ValueError, "Invalid port: 'b'; got 'http://example.com:b/'"),
        ({"max_event_size": 0}, ValueError, "max_event_size must be an int of bytes, at least 1, or None; got 0"),
        ({"url": "http://a:b/"}, ValueError, "url is none, Invalid port: 'b'; got 'http://a:b/'"),
        ({"until": 5}, TypeError, "until is an event type or a function; got 5"),
        ({"reconnection": True}, TypeError, "reconnection is a Reconnection, or None; got True"),
        ({"timeout": 5}, TypeError, "connect() has no option 'timeout'"),
    ],
)
def test_wrong_option_is_refused_at_once(make: Any, options: dict[str, Any], error: type[Exception], says: str) -> None:
    """Before a connection is made, with the name and the value."""
    with pytest.raises(error) as raised:
        make(**{"url": "http://127.0.0.1:1/", **options})
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"retry": -1}, "retry is a number from 0 to 2147483647; got -1"),
        ({"backoff": float("nan")}, "backoff is a number from 0 to 86400; got nan"),
        ({"jitter": 2}, "jitter is a number from 0 to 1; got 2"),
        ({"attempts": 0}, "attempts is an int, 1 or more, or None; got 0"),
        ({"attempts": 2.5}, "attempts is an int, 1 or more, or None; got 2.5"),
        ({"methods": "POST"}, "methods is a collection of names, such as {'POST'}; got 'POST'"),
    ],
)
def test_wrong_rule_is_refused(options: dict[str, Any], says: str) -> None:
    """The error names the field and shows the value."""
    with pytest.raises(ValueError, match=says):
        Reconnection(**options)
