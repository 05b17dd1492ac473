"""ContextVars: a source sees the view's, keeps its own across yields, and changes nobody else's."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from streamkit import wsgi
from streamkit._engine.stream import Surroundings
from tests.engine.drive import Client, WSGIClient, run, start, stream

VAR: ContextVar[str] = ContextVar("VAR", default="unset")


async def async_items() -> AsyncIterator[str]:
    """Tell what the variable is, before and after setting it."""
    try:
        yield VAR.get()
        VAR.set("set by the source")
        yield VAR.get()
        await asyncio.sleep(0)
        yield VAR.get()
    finally:
        CLEANUPS.append((VAR.get(), threading.get_ident()))


def sync_items() -> Iterator[str]:
    """Do the same in a sync source."""
    try:
        yield VAR.get()
        VAR.set("set by the source")
        yield VAR.get()
        yield VAR.get()
    finally:
        CLEANUPS.append((VAR.get(), threading.get_ident()))


CLEANUPS: list[tuple[str, int]] = []
SEEN = b"data: the view's\n\ndata: set by the source\n\ndata: set by the source\n\n"


@pytest.fixture(autouse=True)
def _view() -> Iterator[None]:
    """Set the variable as a view would."""
    CLEANUPS.clear()
    token = VAR.set("the view's")
    yield
    assert VAR.get() == "the view's"
    VAR.reset(token)


@pytest.mark.parametrize("source", [async_items, sync_items])
def test_value_set_by_a_source_survives_its_yields_and_does_not_leak_on_asgi(source: object) -> None:
    """One task or thread and one Context run the source from its first item to its `finally`."""
    assert callable(source)

    async def work() -> None:
        client = await stream(source())
        assert client.body == SEEN
        assert VAR.get() == "the view's"

    run(work())
    assert [value for value, _ in CLEANUPS] == ["set by the source"]


@pytest.mark.parametrize("source", [async_items, sync_items])
@pytest.mark.parametrize("threads", [True, False])
def test_value_set_by_a_source_survives_its_yields_and_does_not_leak_on_wsgi(source: object, threads: bool) -> None:
    """The same inline, in a pump thread and on the background loop."""
    assert callable(source)
    client = WSGIClient(source(), threads=threads)
    assert client.read().replace(b":\n", b"") == SEEN
    assert [value for value, _ in CLEANUPS] == ["set by the source"]


def test_source_that_is_left_early_is_closed_in_its_context() -> None:
    """`finally` sees what the source has set, also when the client leaves."""
    client = WSGIClient(sync_items(), threads=False)
    for _ in range(3):  # the head's filler, then two items
        next(client.body)
    client.close()
    assert [("set by the source", threading.get_ident())] == CLEANUPS


def test_abandoned_inline_source_is_closed_in_its_context() -> None:
    """A server that forgets `close` changes nothing."""
    client = WSGIClient(sync_items(), threads=False)
    for _ in range(3):
        next(client.body)
    del client
    assert [("set by the source", threading.get_ident())] == CLEANUPS


def test_context_is_copied_when_the_response_is_built() -> None:
    """What the host changes after the view returned is not seen."""

    async def work() -> None:
        client = Client()
        task = start(async_items(), client)
        VAR.set("after the view")
        await task
        assert client.body == SEEN
        VAR.set("the view's")

    run(work())


def test_error_handler_runs_in_the_context_of_the_source() -> None:
    """on_error may read what the source has set."""

    async def failing() -> AsyncIterator[str]:
        VAR.set("set by the source")
        yield "a"
        raise ValueError

    def sync_failing() -> Iterator[str]:
        VAR.set("set by the source")
        yield "a"
        raise ValueError

    expected = b"data: a\n\ndata: set by the source\n\n"
    assert run(stream(failing(), on_error=lambda exc: VAR.get())).body == expected
    assert run(stream(sync_failing(), on_error=lambda exc: VAR.get())).body == expected
    client = WSGIClient(sync_failing(), threads=False, on_error=lambda exc: VAR.get())
    assert client.read() == b":\n" + expected


class Recorder(Surroundings):
    """Surroundings that note what they see."""

    def __init__(self, *, fails: bool = False) -> None:
        self.seen: list[str] = []
        self.fails = fails

    @contextmanager
    def inline(self) -> Iterator[None]:
        """Note how the source ends."""
        self.seen.append(f"enter {VAR.get()}")
        VAR.set("the host's")
        try:
            yield
            self.seen.append("leave")
        except BaseException as exc:
            self.seen.append(f"leave {type(exc).__name__}")
            raise
        finally:
            if self.fails:
                raise RuntimeError("the host failed")

    in_thread = inline

    @asynccontextmanager
    async def in_task(self) -> AsyncIterator[None]:
        """Note how the source ends."""
        with self.inline():
            yield


async def async_failing() -> AsyncIterator[str]:
    """Fail after an item."""
    yield VAR.get()
    raise ValueError


def sync_failing() -> Iterator[str]:
    """Fail after an item."""
    yield VAR.get()
    raise ValueError


def _surrounded(content: Any, around: Surroundings, *, threads: bool) -> bytes:
    built = wsgi.EventStreamResponse(content)
    built._stream.around = around
    body = built({"REQUEST_METHOD": "GET", "wsgi.multithread": threads}, lambda *_: lambda _data: None)
    try:
        return b"".join(body)
    finally:
        body.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("threads", [True, False])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_surroundings_of_a_host_hold_the_source_and_see_its_error(kind: str, threads: bool) -> None:
    """They are entered in the view's Context before the first item and left when the source was closed."""
    around = Recorder()
    whole = sync_items() if kind == "sync" else async_items()
    assert b"data: the host's\n\n" in _surrounded(whole, around, threads=threads)
    assert around.seen == ["enter the view's", "leave"]
    around = Recorder()
    with pytest.raises(ValueError):  # noqa: PT011 - it has no text
        _surrounded(sync_failing() if kind == "sync" else async_failing(), around, threads=threads)
    assert around.seen == ["enter the view's", "leave ValueError"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_surroundings_that_fail_fail_the_stream(kind: str) -> None:
    """What the host could not finish is no clean end."""
    with pytest.raises(RuntimeError, match="the host failed"):
        _surrounded(sync_items() if kind == "sync" else async_items(), Recorder(fails=True), threads=True)
