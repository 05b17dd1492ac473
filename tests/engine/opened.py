"""An open ASGI stream of a source that a test feeds."""

from __future__ import annotations

import asyncio
from typing import Any

from streamkit import Event, StreamPolicy
from streamkit.asgi import _Response
from tests.engine.drive import Client, response, scope
from tests.engine.fake_clock import FakeClock
from tests.engine.lives import Ends, Fed, events, eventually

SSE = "text/event-stream"
IDS = [Event("a", id=1), Event("b", id=2)]
NO_IDS = [Event("a"), Event("b")]


class Open:
    """One open ASGI stream of a `Fed` source."""

    def __init__(self, mode: str = "asynchronous", *, method: str = "GET", accept: str = SSE, **options: Any) -> None:
        self.clock, self.client, self.ends = FakeClock(), Client(), Ends()
        self.fed = Fed(self.ends.seen)
        options.setdefault("policy", StreamPolicy(keepalive=None, grace=10))
        built = response(getattr(self.fed, mode)(), clock=self.clock, on_close=self.ends, kind=_Response, **options)
        self.task = asyncio.create_task(built(scope(method, accept), self.client.receive, self.client.send))

    async def take(self, *items: object) -> None:
        """Have items sent, and wait for the last."""
        self.fed.put(*items)
        await eventually(lambda: self.client.body.count(b"\n\n") >= len(items))

    @property
    def events(self) -> list[str]:
        """The data of what the client dispatched."""
        return [event.data for event in events(self.client.body)[0]]
