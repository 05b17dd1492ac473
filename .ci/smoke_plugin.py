"""What the pytest plugin gives where the wheel is installed; .ci/wheel runs it from outside the tree."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from streamkit import Event, StreamPolicy
from streamkit.asgi import EventStreamResponse


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Send one event, then nothing."""

    async def ticks() -> AsyncIterator[str]:
        yield "a"
        await asyncio.Event().wait()

    await EventStreamResponse(ticks(), policy=StreamPolicy(keepalive=30))(scope, receive, send)


def test_fixtures_are_there(open_stream: Any, stream_clock: Any) -> None:
    """By the entry point alone: nothing here names the plugin."""
    events = open_stream(app, "GET", "/")
    assert events.take() == [Event("a")]
    stream_clock.advance(30)
    assert events.keepalive() == b":\n"
