"""The ASGI responses in front of asgiref's own communicator, which Django and Channels test their apps with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from asgiref import testing

from streamkit.asgi import EventStreamResponse

communicator: Any = testing.ApplicationCommunicator  # it has no types
SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}


def test_communicator_reads_a_stream_to_its_end() -> None:
    """The head, the items and the end come as messages that asgiref takes, and the app returns."""

    async def words() -> AsyncIterator[str]:
        for word in ("one", "two"):
            yield word
            await asyncio.sleep(0)

    async def read() -> bytes:
        client = communicator(EventStreamResponse(words()), SCOPE)
        start = await client.receive_output(timeout=5)
        assert (start["type"], start["status"]) == ("http.response.start", 200)
        body, more = b"", True
        while more:
            message = await client.receive_output(timeout=5)
            body, more = body + message["body"], message["more_body"]
        await client.wait(timeout=5)
        return body

    assert asyncio.run(read()) == b"data: one\n\ndata: two\n\n"


def test_disconnect_from_the_communicator_closes_the_source() -> None:
    """`http.disconnect` is all that a source needs to hear."""
    closed: list[bool] = []

    async def endless() -> AsyncIterator[str]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def leave() -> None:
        client = communicator(EventStreamResponse(endless()), SCOPE)
        while b"first" not in (await client.receive_output(timeout=5)).get("body", b""):
            pass
        await client.send_input({"type": "http.disconnect"})
        await client.wait(timeout=5)

    asyncio.run(leave())
    assert closed == [True]
