"""A client that leaves a stream which an app makes: the app hears of it, and ends, whatever it does meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio import BrokenResourceError, create_memory_object_stream, create_task_group
from starlette.requests import ClientDisconnect

from streamkit import stats
from tests.engine.drive import run, until
from tests.engine.fake_clock import FakeClock, settle
from tests.middleware.asgi.calls import App, Caller, Message, around, begin, body, head, idle_after, scope


def test_app_that_waits_for_the_disconnect_gets_it() -> None:
    """The server's `receive` has one reader, and the app, which waits in it beside the stream, is served."""
    heard: list[Message] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        listening = asyncio.create_task(receive())
        await asyncio.sleep(0)  # it waits before the stream begins
        await send(head())
        heard.append(await listening)
        heard.append(await receive())

    async def main() -> None:
        caller = Caller()
        task = begin(app, caller)
        await caller.began(2)
        caller.leave()
        await task
        assert heard == [{"type": "http.disconnect"}] * 2
        assert not caller.crowded

    run(main())


def test_app_that_gives_up_waiting_loses_no_message() -> None:
    """A call of `receive` that is cancelled, as in `request.is_disconnected()`, takes nothing from the next one."""
    request = [{"type": "http.request", "body": b"%d" % number, "more_body": number < 3} for number in range(4)]
    received: list[Message] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await send(head())
        await settle()
        for _ in range(4):
            received.append(await receive())
            await settle()
        for _ in range(3):
            asking = asyncio.ensure_future(receive())
            await settle()
            asking.cancel()
        received.append(await receive())

    async def main() -> None:
        caller = Caller(*request)
        task = begin(app, caller)
        await settle()
        assert caller.received == 1  # no more is read ahead
        await settle()
        await until(lambda: len(received) == 4)
        await settle()
        caller.leave()
        await task
        assert received == [*request, {"type": "http.disconnect"}]
        assert not caller.crowded

    run(main())


def test_app_that_never_asks_is_cancelled_after_a_second() -> None:
    """An idle app that does not listen is ended, and what it awaits in its `finally` is done."""
    notes: list[str] = []

    async def main() -> None:
        clock, caller = FakeClock(), Caller()
        task = begin(idle_after(head(), body(b"data: 1\n\n"), notes=notes), caller, clock=clock)
        await caller.began(3)
        caller.leave()
        await clock.advance(0.9)
        assert not notes
        await clock.advance(0.1)
        await task
        assert notes == ["cleaned up"]
        assert clock.pending == []

    run(main())


def test_app_that_has_heard_is_left_to_end_itself() -> None:
    """Who has been told of the disconnect has all the time it takes."""
    go = asyncio.Event()
    ended: list[str] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await send(head())
        while (await receive())["type"] != "http.disconnect":
            pass
        await go.wait()
        ended.append("by itself")

    async def main() -> None:
        clock, caller = FakeClock(), Caller()
        task = begin(app, caller, clock=clock)
        await caller.began(2)
        caller.leave()
        await clock.advance(60)
        assert not task.done()
        go.set()
        await task

    run(main())
    assert ended == ["by itself"]


def test_send_is_held_for_a_second_and_raises_then() -> None:
    """An app has a second to cancel itself; who has not by then is told by an OSError."""
    raised: list[str] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await send(head())
        while (await receive())["type"] != "http.disconnect":
            pass
        for _ in range(2):
            try:
                await send(body(b"data: 1\n\n"))
            except OSError as error:
                raised.append(str(error))

    async def main() -> None:
        clock, caller = FakeClock(), Caller()
        task = begin(app, caller, clock=clock)
        await caller.began(2)
        caller.leave()
        await clock.advance(0.9)
        assert not raised
        await clock.advance(0.1)
        await task
        assert caller.chunks == []

    run(main())
    assert ["left" in text for text in raised] == [True, True]


@pytest.mark.parametrize(
    "error",
    [
        OSError("gone"),
        ClientDisconnect(),
        BrokenResourceError(),
        ExceptionGroup("tasks", [BrokenPipeError(), ExceptionGroup("more", [ClientDisconnect()])]),
    ],
    ids=["OSError", "ClientDisconnect", "BrokenResourceError", "group"],
)
def test_what_an_app_raises_because_its_client_left_is_no_error(error: Exception, caplog: Any) -> None:
    """The server logs nothing, and we nothing above DEBUG."""
    with caplog.at_level(logging.DEBUG, "streamkit"):
        run(_leave(error))
    assert all(record.levelno == logging.DEBUG for record in caplog.records)


@pytest.mark.parametrize(
    "error", [ValueError("x"), ExceptionGroup("tasks", [OSError(), ValueError("x")])], ids=["ValueError", "group"]
)
def test_any_other_error_of_an_app_is_raised_though_its_client_left(error: Exception) -> None:
    """A fault in the cleanup of an app is a fault."""
    with pytest.raises(type(error)):
        run(_leave(error))


async def _leave(error: Exception) -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await send(head())
        while (await receive())["type"] != "http.disconnect":
            pass
        raise error

    caller = Caller()
    task = begin(app, caller)
    await caller.began(2)
    caller.leave()
    await task


def test_oserror_of_the_server_ends_the_stream() -> None:
    """A server may say by its `send` that the client has left; the app gets that, the server no error."""

    async def main() -> None:
        clock, caller = FakeClock(), Caller()
        reasons: list[str] = []
        app = idle_after(head(), body(b"data: 1\n\n"))
        task = begin(app, caller, clock=clock, on_close=lambda reason, _: reasons.append(reason))
        caller.send_error = OSError("gone")
        await task
        assert reasons == ["disconnected"]

    run(main())


def test_oserror_of_an_app_whose_client_is_there_is_an_error() -> None:
    """A file that cannot be read in mid-stream is no disconnect."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(head())
        raise FileNotFoundError("rows.csv")

    async def main() -> None:
        caller = Caller()
        with pytest.raises(FileNotFoundError):
            await begin(app, caller)
        assert not caller.ended

    run(main())


def test_app_that_never_awaits_freezes_nobody() -> None:
    """While it sends without a pause to a client that reads as fast, others run too."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(head())
        for _ in range(20_000):
            await send(body(b"data: 1\n\n"))
        await send(body(b"", more=False))

    async def send(_event: Any) -> None:
        """Take it at once."""

    async def main() -> None:
        turns = 0
        task = asyncio.create_task(around(app)(scope(), Caller().receive, send))
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 10

    run(main())


def test_app_that_never_awaits_and_never_listens_ends_when_its_client_leaves() -> None:
    """Not even one that takes an OSError for nothing runs on."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(head())
        while True:
            with suppress(OSError):
                await send(body(b"data: 1\n\n"))

    async def send(_event: Any) -> None:
        """Take it at once, as uvicorn does when the client has left."""

    async def main() -> None:
        clock, caller = FakeClock(), Caller()
        task = asyncio.create_task(around(app, clock)(scope(), caller.receive, send))
        await settle()
        caller.leave()
        await clock.advance(1)
        await task

    run(main())


def test_client_that_leaves_before_the_stream_is_the_apps_business() -> None:
    """What an app gets before it has sent a head is what the server gives it."""
    got: list[Message] = []

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        got.extend([await receive(), await receive()])

    async def main() -> None:
        caller = Caller()
        caller.leave()
        opened = stats().opened
        await begin(app, caller)
        assert stats().opened == opened

    run(main())
    assert got[1] == {"type": "http.disconnect"}


def test_receive_that_fails_is_taken_for_a_client_that_left() -> None:
    """Some servers raise from `receive` when the connection breaks."""
    notes: list[str] = []

    async def receive() -> Any:
        raise RuntimeError("broken")

    async def main() -> None:
        clock, caller = FakeClock(), Caller()
        app: App = idle_after(head(), notes=notes)
        task = asyncio.create_task(around(app, clock)(scope(), receive, caller.send))
        await caller.began(2)
        await clock.advance(1)
        await task

    run(main())
    assert notes == ["cleaned up"]


def test_generator_that_begins_after_its_client_has_left_is_closed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long after: anyio tells only a task what tasks there are, and nobody is asked outside of one."""
    kept: list[Any] = []
    go, asked = asyncio.Event(), anyio.get_running_tasks

    def tasks() -> list[anyio.TaskInfo]:
        if asyncio.current_task() is None:  # where sniffio is installed
            raise RuntimeError("not in a task")
        return asked()

    async def numbers() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(head())
        await go.wait()
        kept.append(numbers())
        async for item in kept[0]:
            await send(body(item))

    async def main() -> None:
        monkeypatch.setattr(anyio, "get_running_tasks", tasks)
        monkeypatch.setattr("streamkit._engine.foreign.tasks.KEEP", 0)
        clock, caller, failed = FakeClock(), Caller(), []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        task = begin(app, caller, clock=clock)
        await caller.began(2)
        caller.leave()
        await settle()
        go.set()
        await clock.advance(1)
        await task
        assert failed == []
        assert kept[0].ag_frame is None

    run(main())


def test_stream_that_begins_as_another_ends_is_closed_too() -> None:
    """Its tasks were not there yet when those of the other were looked at, a moment before."""
    made: list[Any] = []

    async def numbers() -> AsyncIterator[bytes]:
        while True:
            yield b"data: 1\n\n"

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        to, items = create_memory_object_stream[bytes](0)
        made.append(numbers())

        async def produce() -> None:
            async for item in made[-1]:
                await to.send(item)

        async with to, items, create_task_group() as group:
            group.start_soon(produce)
            await send(head())
            async for item in items:
                await send(body(item))

    async def main() -> None:
        clock = FakeClock()
        middleware = around(app, clock)
        for _ in range(2):
            caller = Caller()
            task = asyncio.create_task(middleware(scope(), caller.receive, caller.send))
            await caller.arrived(1)
            caller.leave()
            await clock.advance(1)
            await task
            assert made[-1].ag_frame is None  # closed, and not by the end of the loop

    run(main())
