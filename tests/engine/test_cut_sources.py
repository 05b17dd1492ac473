"""A source that raises StreamCutError: its client was too slow for it, and comes back; that is no failure."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from streamkit import StreamCutError, stats
from tests.engine.drive import LIMIT, Client, WSGIClient, run, start
from tests.engine.lives import Ends, eventually


class Cut:
    """Yields one item, and when that has arrived says that the client is too slow."""

    def __init__(self) -> None:
        self.arrived = threading.Event()

    def sync(self) -> Iterator[str]:
        """In a thread."""
        yield "a"
        assert self.arrived.wait(LIMIT)
        raise StreamCutError("slow_client")

    async def asynchronous(self) -> AsyncIterator[str]:
        """On a loop."""
        yield "a"
        await eventually(self.arrived.is_set)
        raise StreamCutError("slow_client")


class Told:
    """What the options of a response were told."""

    def __init__(self) -> None:
        self.ends, self.errors = Ends(), list[Exception]()

    @property
    def options(self) -> dict[str, Any]:
        """The options."""
        return {"on_close": self.ends, "on_error": self.errors.append, "end": "the end"}

    def check(self, body: bytes, logged: list[str]) -> None:
        """Check that the reason is the client's, and that the stream was neither handled nor ended as a whole one."""
        assert b"data: a\n\n" in body
        assert b"the end" not in body
        assert (self.ends.reasons, self.errors, logged) == (["slow_client"], [], [])


@pytest.mark.parametrize("mode", ["sync", "asynchronous"])
def test_cut_source_ends_as_a_slow_client_on_asgi(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    """The server gets the error, so that it cuts the connection; `on_error` gets nothing."""
    told, client, cut, before = Told(), Client(), Cut(), stats().ends.get("slow_client", 0)

    async def work() -> None:
        task = start(getattr(cut, mode)(), client, **told.options)
        await eventually(lambda: client.body)
        cut.arrived.set()
        with pytest.raises(StreamCutError, match="slow_client"):
            await task

    run(work())
    told.check(client.body, [record.getMessage() for record in caplog.records])
    assert not client.ended
    assert stats().ends["slow_client"] == before + 1


@pytest.mark.parametrize(
    ("mode", "threads"),
    [
        pytest.param("sync", False, id="inline"),
        pytest.param("sync", True, id="pumped"),
        pytest.param("asynchronous", True, id="async"),
    ],
)
def test_cut_source_ends_as_a_slow_client_on_wsgi(mode: str, threads: bool, caplog: pytest.LogCaptureFixture) -> None:
    """The same where the server iterates."""
    told, cut, body = Told(), Cut(), b""
    client = WSGIClient(getattr(cut, mode)(), threads=threads, **told.options)
    while b"a" not in body:
        body += next(client.body)
    cut.arrived.set()
    with pytest.raises(StreamCutError, match="slow_client"):
        next(client.body)
    client.close()
    told.check(body, [record.getMessage() for record in caplog.records if "multithread" not in record.getMessage()])
