"""A hundred idle streams that frameworks make in their own way end at SIGTERM, under each ASGI server."""

from __future__ import annotations

import contextlib
import signal

import pytest

from tests.rig.apps import foreign
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server

BOUND = 20.0
"""Seconds that tell an end from a hang: gunicorn, say, would wait for 30."""

EACH = 13
"""Streams of each framework."""

TOLD = ("uvicorn-httptools", "uvicorn-h11", "gunicorn-uvicorn", "granian-asgi")
"""Servers whose streams hear of the signal. Hypercorn's workers do not, and it cancels what is inside of the app."""

pytestmark = pytest.mark.servers

by_server = pytest.mark.parametrize("name", [pytest.param(name, marks=needs(*SERVERS[name].parts)) for name in TOLD])


@by_server
def test_hundred_idle_streams_of_browsers_end_at_sigterm(name: str) -> None:
    """Each `finally` has done what it awaits, and the server is gone."""
    with (
        Server(SERVERS[name], "tests.rig.apps.foreign:app") as server,
        contextlib.ExitStack() as stack,
    ):
        streams = []
        for framework in list(foreign.APPS) * EACH:
            target, accept = f"/{framework}/idle", {"Accept": "text/event-stream"}
            streams.append((framework, stack.enter_context(server.open(target, headers=accept))))
        for _, stream in streams:
            stream.read_until(b"1")
        server.signal(signal.SIGTERM)
        for framework, stream in streams:
            stream.read_to_end(BOUND)
            # FastAPI's lines have no id, so that their client cannot go on: they are cut off after their grace.
            assert stream.clean == (framework != "fastapi-jsonl"), (framework, stream.describe())
        for _, stream in streams:
            stream.leave()
        server.wait_until_gone(BOUND)
        assert server.log().count(foreign.CLEANED_UP) == len(streams), server.log()
