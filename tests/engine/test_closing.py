"""What is closed, and how often: any kind of source, started or not, with or without faults of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.engine.drive import Client, run, scope, start, stream
from tests.engine.drive import response as asgi_response
from tests.engine.fake_clock import settle


class Closable:
    """An iterable of no items that counts how often it is closed; async by `aclose` or `close`, or sync."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        """Count."""
        self.closed += 1


class SyncClosable(Closable):
    """Sync."""

    def __iter__(self) -> Iterator[str]:
        return iter("ab")


class AsyncClosable(Closable):
    """Async, closed by a coroutine."""

    async def aclose(self) -> None:
        """Count after a turn of the loop."""
        await asyncio.sleep(0)
        self.close()

    async def _items(self) -> AsyncIterator[str]:
        for letter in "ab":
            yield letter

    def __aiter__(self) -> AsyncIterator[str]:
        return self._items()


class AsyncPlainClosable(AsyncClosable):
    """Async, closed by a plain function."""

    aclose = None  # type: ignore[assignment]


CLOSABLES = [SyncClosable, AsyncClosable, AsyncPlainClosable]


@pytest.mark.parametrize("kind", CLOSABLES)
def test_iterable_with_a_close_of_its_own_is_closed_once(kind: type[Closable]) -> None:
    """A cursor or an upstream response is closed after it was read."""
    source = kind()
    client = run(stream(source))
    assert client.body == b"data: a\n\ndata: b\n\n"
    assert source.closed == 1


@pytest.mark.parametrize("kind", CLOSABLES)
def test_source_that_is_never_started_is_closed(kind: type[Closable]) -> None:
    """HEAD starts nothing, and leaves nothing open."""

    async def work() -> None:
        client, source = Client(), kind()
        await asgi_response(source)(scope("HEAD"), client.receive, client.send)
        await settle()
        assert source.closed == 1
        assert client.body == b""
        assert client.ended

    run(work())


@pytest.mark.parametrize("kind", CLOSABLES)
def test_source_is_closed_when_the_app_is_cancelled_before_its_first_step(kind: type[Closable]) -> None:
    """A cancellation that comes before the pump has begun does not leave the source open."""

    async def work() -> None:
        client, source = Client(), kind()

        async def serve() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asgi_response(source)(scope(), client.receive, client.send)

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(serve())
        await settle()
        assert source.closed == 1
        assert client.events == []

    run(work())


def test_iterable_is_closed_although_closing_its_iterator_fails(caplog: pytest.LogCaptureFixture) -> None:
    """One owner's failure is logged and does not keep the other one open."""

    class Rows(SyncClosable):
        def __iter__(self) -> Iterator[str]:
            class Cursor:
                def __next__(self) -> str:
                    raise StopIteration

                def close(self) -> None:
                    raise ValueError("cursor")

            return Cursor()  # type: ignore[return-value]

    source = Rows()
    run(stream(source))
    assert source.closed == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    caplog.clear()


def test_iterators_need_not_be_iterable_themselves() -> None:
    """What a `for` loop takes, a stream takes."""

    class Cursor:
        def __init__(self) -> None:
            self.rest = ["b", "a"]

        def __next__(self) -> str:
            if not self.rest:
                raise StopIteration
            return self.rest.pop()

        async def __anext__(self) -> str:
            if not self.rest:
                raise StopAsyncIteration
            return self.rest.pop()

    class Rows:
        def __iter__(self) -> Cursor:
            return Cursor()

    class AsyncRows:
        def __aiter__(self) -> Cursor:
            return Cursor()

    for source in Rows(), AsyncRows():
        assert run(stream(source)).body == b"data: a\n\ndata: b\n\n"


def test_close_that_raises_is_logged_and_the_body_still_ends(caplog: pytest.LogCaptureFixture) -> None:
    """All items were sent, so the client is told so."""

    class Rows(AsyncClosable):
        async def aclose(self) -> None:
            raise ValueError("cannot close")

    client = run(stream(Rows()))
    assert client.ended
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    caplog.clear()


def test_source_that_ignores_generator_exit_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """Yielding in `finally` is an error of the source, which is logged once."""

    async def work() -> None:
        client = Client()

        async def stubborn() -> AsyncIterator[str]:
            try:
                while True:
                    yield "x"
            except GeneratorExit:
                yield "y"

        source = stubborn()
        task = start(source, client)
        await client.arrived(1)
        client.leave()
        await task
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        with pytest.raises(StopAsyncIteration):
            await anext(source)

    run(work())
    caplog.clear()


def test_source_that_swallows_the_cancellation_is_not_pulled_again() -> None:
    """It may end in peace: its next item is not sent, and it is closed at that yield."""

    async def work() -> None:
        client = Client()
        seen: list[str] = []

        async def stubborn() -> AsyncIterator[str]:
            try:
                yield "a"
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    seen.append("swallowed")
                yield "b"
                seen.append("pulled")
            finally:
                seen.append("closed")

        task = start(stubborn(), client, end="end")
        await client.arrived(1)
        client.leave()
        await task
        assert seen == ["swallowed", "closed"]
        assert client.body == b"data: a\n\n"

    run(work())


def test_source_that_ends_on_cancellation_is_not_taken_for_complete() -> None:
    """The end item follows normal completion only."""

    async def work() -> None:
        client = Client()

        async def polite() -> AsyncIterator[str]:
            yield "a"
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return

        task = start(polite(), client, end="end")
        await client.arrived(1)
        client.leave()
        await task
        assert client.body == b"data: a\n\n"
        assert not client.ended

    run(work())
