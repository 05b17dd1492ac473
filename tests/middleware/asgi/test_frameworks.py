"""Streams that each framework makes in its own way, inside the middleware, with a server in process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

import streamkit
from streamkit import stats
from tests.rig.apps import foreign
from tests.rig.asgi import ASGIHost

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture(params=[False, True], ids=["server-2.3", "server-2.4"])
def host(request: pytest.FixtureRequest) -> Iterator[ASGIHost]:
    """Play a server of either kind: one whose `send` says nothing when the client left, and one whose send raises."""
    with ASGIHost(cast(Any, foreign.app), raise_after_leave=request.param, lower_case=False) as served:
        served.side_door.reset()
        yield served
        served.side_door.reset()


def closed(host: ASGIHost) -> dict[str, Any]:
    """Wait until a source has ended and all that it awaits at its end is done."""
    return host.side_door.wait_for(lambda record: record["closed"] > 0, what="a source that is closed")


@pytest.mark.parametrize("framework", foreign.APPS)
def test_stream_of_a_framework_ends_as_it_would_without_us(framework: str, host: ASGIHost) -> None:
    """All items arrive, and the end."""
    with host.open(f"/{framework}/finite", headers=EVENTS) as stream:
        whole = stream.read_to_end()
        assert [digit for digit in b"123" if digit not in whole] == []
        assert stream.clean
        assert stream.error is None
        assert stream.head().get("cache-control") is not None
        assert stream.head().get("x-accel-buffering") == "no"


@pytest.mark.parametrize("framework", foreign.APPS)
def test_idle_stream_of_a_framework_ends_at_a_drain(framework: str, host: ASGIHost) -> None:
    """Cleanly where a browser resumes; the generator is closed in its own time, what it awaits in `finally` is done."""
    before = stats().ends.get("drained", 0)
    with host.open(f"/{framework}/idle", headers=EVENTS) as stream:
        stream.read_until(b"1")
        streamkit.drain()
        stream.read_to_end()
        assert stream.clean == (framework != "fastapi-jsonl")
        assert stream.error is None
        record = closed(host)
        assert record["ended_by"] == "CancelledError"
        assert record["strayed"] == []
        stream.done.wait(5)
    assert stats().ends["drained"] == before + 1


@pytest.mark.parametrize("framework", foreign.APPS)
def test_idle_stream_of_a_framework_ends_when_its_client_leaves(framework: str, host: ASGIHost) -> None:
    """The source is ended within two seconds, and the server hears of no error."""
    with host.open(f"/{framework}/idle", headers=EVENTS) as stream:
        stream.read_until(b"1")
        stream.leave()
        host.side_door.wait_for(lambda record: record["ended_by"] is not None, what="a source that has ended")
        assert stream.done.wait(5)
        assert stream.error is None


@pytest.mark.parametrize("framework", foreign.APPS)
def test_stream_of_a_framework_that_never_awaits_freezes_nobody(framework: str, host: ASGIHost) -> None:
    """Another request is answered meanwhile, and the source ends when its client has left."""
    with host.open(f"/{framework}/spinning", headers=EVENTS) as stream:
        stream.piece()
        with host.open(f"/{framework}/finite") as other:
            assert other.head().status == 200
        stream.leave()
        assert stream.done.wait(5)
        assert stream.error is None
        assert host.side_door.wait_for(lambda record: record["scenario"] == "spinning")["pulled"] > 0


FAILING = [
    *((framework, "failing") for framework in foreign.APPS if framework != "litestar"),
    # The others read a sync iterator to its end before they send any of it.
    *((framework, "failing_sync") for framework in ("fastapi-sse", "fastapi-jsonl", "sse-starlette", "starlette")),
]


@pytest.mark.parametrize(("framework", "scenario"), FAILING)
def test_error_in_a_stream_of_a_framework_is_no_clean_end(framework: str, scenario: str, host: ASGIHost) -> None:
    """The body is left open, each time, and the server gets the error."""
    for _ in range(20):
        with host.open(f"/{framework}/{scenario}", headers=EVENTS) as stream:
            assert b"1" in stream.read_to_end()
            assert not stream.clean
            assert stream.done.wait(5)
            assert foreign.FAILURE in _texts(stream.error)


@pytest.mark.parametrize("framework", foreign.APPS)
def test_head_of_a_framework_that_streams_is_answered(framework: str, host: ASGIHost) -> None:
    """By the head alone, or by the framework's refusal; the request ends in either case."""
    with host.open(f"/{framework}/idle", method="HEAD", headers=EVENTS) as stream:
        assert stream.read_to_end() == b"" or stream.head().status == 405
        assert stream.clean
        assert stream.done.wait(5)
        assert stream.error is None


def _texts(error: BaseException | None) -> str:
    """Return what an error says, and all in its group."""
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return " ".join([str(error), *map(_texts, inner)])
