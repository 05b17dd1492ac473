"""The source of a detached stream: how it fails, how it is cancelled, and what it sees."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from streamkit import Event
from streamkit._engine.limit import CAP
from streamkit.channels import Detached, MemoryLog
from streamkit.errors import InvalidEventError
from tests.channels.streams import KINDS, Fed, Read, read, until
from tests.engine.fake_clock import settle

USER: ContextVar[str] = ContextVar("USER")


@KINDS
@pytest.mark.parametrize("error", [ValueError("secret"), asyncio.CancelledError(), SystemExit(3)], ids=repr)
def test_source_that_raises_ends_as_failed_without_the_exceptions_text(
    kind: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once; also where it raises what would end a task or a loop."""

    async def items() -> AsyncIterator[str]:
        yield "a"
        raise error

    def items_sync() -> Iterator[str]:
        yield "a"
        raise error

    async def main() -> Read:
        detached = Detached(MemoryLog())
        await detached.start("k", items() if kind == "async" else items_sync())
        return await read(detached, "k")

    assert asyncio.run(main()) == [(None, "a"), ("failed", {"error": "The answer could not be completed."})]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert caplog.records[0].getMessage() == "The source of the detached stream 'k' failed"
    assert caplog.records[0].exc_info is not None


def test_item_that_has_no_form_ends_the_stream_as_failed(caplog: pytest.LogCaptureFixture) -> None:
    """An id is the log's to give."""

    async def main() -> Read:
        detached = Detached(MemoryLog())
        await detached.start("k", [Event("a", id="7")])
        return await read(detached, "k")

    assert asyncio.run(main())[0][0] == "failed"
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].exc_info[0] is InvalidEventError


def _broken(_: Exception) -> str:
    raise KeyError("broken")


@pytest.mark.parametrize(
    ("error_text", "told", "logged"),
    [
        (lambda exc: f"sorry: {exc}", "sorry: no", 1),
        (_broken, "The answer could not be completed.", 2),
        (lambda _: 7, "The answer could not be completed.", 2),
    ],
)
def test_error_text_decides_what_readers_are_told(
    error_text: Any, told: str, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    """One that fails itself is logged, and the general sentence takes its place."""

    def items() -> Iterator[str]:
        yield from ()
        raise ValueError("no")

    async def main() -> Read:
        detached = Detached(MemoryLog(), error_text=error_text)
        await detached.start("k", items())
        return await read(detached, "k")

    assert asyncio.run(main()) == [("failed", {"error": told})]
    assert len(caplog.records) == logged


class _NotIterable:
    """Looks like a source until it is iterated."""

    def __iter__(self) -> Iterator[object]:
        raise OSError("cannot begin")


def test_sync_source_that_cannot_begin_ends_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    """As failed, and its thread is given back."""

    async def main() -> Read:
        detached = Detached(MemoryLog())
        await detached.start("k", _NotIterable())
        return await asyncio.wait_for(read(detached, "k"), 5)

    assert asyncio.run(main())[0][0] == "failed"
    assert "cannot begin" in caplog.text
    assert CAP.open == 0


def test_cleanup_that_fails_is_logged_and_changes_no_end(caplog: pytest.LogCaptureFixture) -> None:
    """The answer was complete."""

    class Items:
        def __aiter__(self) -> Items:
            return self

        async def __anext__(self) -> str:
            raise StopAsyncIteration

        async def aclose(self) -> None:
            raise OSError("cannot close")

    async def main() -> Read:
        detached = Detached(MemoryLog())
        await detached.start("k", Items())
        return await read(detached, "k")

    assert asyncio.run(main()) == [("done", "")]
    assert "cannot close" in caplog.text


def test_cancel_ends_a_silent_async_source_where_it_waits() -> None:
    """By CancelledError, at once; a second cancel finds nothing to end."""

    async def main() -> Read:
        detached, fed = Detached(MemoryLog()), Fed()
        await detached.start("k", fed.items())
        await until(lambda: fed.begun)
        assert await detached.cancel("k")
        assert not await detached.cancel("k")
        await until(fed.closed.is_set)
        assert isinstance(fed.error, asyncio.CancelledError)
        assert (await detached.status("k")).state == "cancelled"
        return await read(detached, "k")

    assert asyncio.run(main()) == [("cancelled", "")]


def test_cancel_ends_a_blocked_sync_source_at_its_next_item() -> None:
    """By GeneratorExit; the readers need not wait for that."""

    async def main() -> Read:
        detached, fed = Detached(MemoryLog()), Fed()
        await detached.start("k", fed.items_sync())
        await until(lambda: fed.begun)
        assert await detached.cancel("k")
        got = await read(detached, "k")
        await until(lambda: not detached._running.here())
        assert not fed.closed.is_set()
        fed.pipe.put("too late")
        await until(fed.closed.is_set)
        assert isinstance(fed.error, GeneratorExit)
        return got

    assert asyncio.run(main()) == [("cancelled", "")]


def test_source_that_takes_no_cancel_is_ended_at_its_next_item() -> None:
    """It cannot go on behind the end."""

    async def stubborn() -> AsyncIterator[str]:
        for _ in range(3):
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                yield "still here"

    async def main() -> tuple[Read, int]:
        detached = Detached(MemoryLog())
        await detached.start("k", stubborn())
        await settle()
        await detached.cancel("k")
        await until(lambda: not detached._running.here())
        got = await read(detached, "k")
        await settle()
        return got, len(asyncio.all_tasks())

    assert asyncio.run(main()) == ([("cancelled", "")], 1)


@KINDS
def test_source_sees_the_context_of_whoever_started_it(kind: str) -> None:
    """Whatever has changed there since."""

    async def items() -> AsyncIterator[str]:
        yield USER.get()

    def items_sync() -> Iterator[str]:
        yield USER.get()

    async def main() -> Read:
        USER.set("ann")
        detached = Detached(MemoryLog())
        await detached.start("k", items() if kind == "async" else items_sync())
        USER.set("bob")
        return await read(detached, "k")

    assert asyncio.run(main())[0] == (None, "ann")
