"""A client that reads nothing: after `send_timeout` it has no stream any more, and at a shutdown it holds nobody up."""

from __future__ import annotations

import signal
import time

import pytest

from tests.rig.apps import flooding
from tests.rig.http import HTTPStream
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server

pytestmark = pytest.mark.servers

BOUND = 20.0
"""Seconds that tell an end from a hang: uvicorn would wait until the client reads or dies."""

UVICORNS = [pytest.param(name, marks=needs(*SERVERS[name].parts)) for name in ("uvicorn-httptools", "uvicorn-h11")]


@pytest.mark.parametrize("name", UVICORNS)
def test_client_that_never_reads_is_let_go(name: str) -> None:
    """Its connection is closed under uvicorn, also with Starlette or the middleware between."""
    with Server(SERVERS[name], "tests.rig.apps.flooding:app") as server:
        streams = [HTTPStream(server.port, path, receive_buffer=4096) for path in flooding.APPS]
        until = time.monotonic() + BOUND
        while server.log().count(f"{flooding.ENDED}slow_client") < len(streams):
            assert time.monotonic() < until, server.log()
            time.sleep(0.02)
        server.signal(signal.SIGTERM)
        server.wait_until_gone(BOUND)
        for stream in streams:
            stream.leave()
