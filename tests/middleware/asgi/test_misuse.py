"""What an app does wrong stays the server's to judge, and what is wrapped twice is done once."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

import streamkit
from streamkit import StreamPolicy, stats
from streamkit.asgi import StreamingMiddleware
from tests.engine.drive import run
from tests.engine.fake_clock import FakeClock
from tests.middleware.asgi.calls import Caller, begin
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
EVENT = {"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True}


async def streaming(scope: Any, receive: Any, send: Any) -> None:
    """Send one event and wait."""
    await send(START)
    await send(EVENT)
    await asyncio.Event().wait()


def test_stream_in_two_middlewares_is_one_stream() -> None:
    """One life, one keepalive, one set of headers, one end."""

    async def main() -> None:
        clock, caller, before = FakeClock(), Caller(), stats()
        inner = StreamingMiddleware(streaming, policy=StreamPolicy(keepalive=1))
        task = begin(inner, caller, clock=clock, policy=StreamPolicy(keepalive=10))
        await caller.arrived(1)
        assert stats().opened == before.opened + 1
        assert [name for name, _ in caller.events[0]["headers"]].count(b"x-accel-buffering") == 1
        await clock.advance(10)
        assert caller.chunks == [b"data: 1\n\n", b":\n"]
        assert streamkit.drain() == 1
        await clock.advance(1)
        await task
        assert stats().open == before.open

    run(main())


def test_body_before_its_head_reaches_the_server() -> None:
    """Which refuses it; nothing is held and nothing hangs."""

    async def wrong(scope: Any, receive: Any, send: Any) -> None:
        await send(EVENT)

    async def main() -> None:
        caller = Caller()
        await begin(wrong, caller)
        assert caller.events == [EVENT]

    run(main())


@pytest.mark.servers
@needs(*SERVERS["uvicorn-httptools"].parts)
def test_client_that_waits_for_100_is_told_to_go_on() -> None:
    """The server says so when the app asks for the body (RFC 9110, 10.1.1)."""
    with (
        Server(SERVERS["uvicorn-httptools"], "tests.rig.apps.echoing:app") as server,
        socket.create_connection(("127.0.0.1", server.port), 5) as connection,
    ):
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hello")
        received = b""
        while not received.endswith(b"hello"):
            received += (chunk := connection.recv(1000))
            assert chunk
        assert received.startswith(b"HTTP/1.1 200 ")
