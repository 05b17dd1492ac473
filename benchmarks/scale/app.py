"""What is measured: an app on plain ASGI whose streams subscribe to channels of a `RedisLog`, or yield tokens.

The path `/channel/NAME` subscribes; `/tokens/COUNT` yields so many, twenty in a second.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

from streamkit import StreamPolicy
from streamkit.asgi import EventStreamResponse, last_event_id
from streamkit.channels import Channels
from streamkit.channels.redis import RedisLog
from tests.rig.asgi import answer_lifespan
from tests.rig.sidedoor import open_side_door

URL, KEEPALIVE, PROBE = "SCALE_URL", "SCALE_KEEPALIVE", "SCALE_PROBE"
"""The variables of the environment that say how."""

open_side_door()
channels = Channels(RedisLog(os.environ.get(URL, "redis://127.0.0.1:6379/0"), probe=float(os.environ.get(PROBE, "30"))))
POLICY = StreamPolicy(keepalive=float(os.environ.get(KEEPALIVE, "15")))


async def tokens(count: int) -> AsyncIterator[str]:
    """Yield the first at once, so that a client knows when it is connected."""
    yield "hello"
    for _ in range(count):
        await asyncio.sleep(0.05)
        yield "token"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer by the path."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    kind, _, name = scope["path"][1:].partition("/")
    source = tokens(int(name)) if kind == "tokens" else channels.subscribe(name, after=last_event_id(scope))
    await EventStreamResponse(source, policy=POLICY)(scope, receive, send)
