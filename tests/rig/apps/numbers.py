"""Subscriptions to two channels of a log that other processes share, by plain ASGI and plain WSGI.

`numbers` counts up, and `others` too, more slowly; an event of the second has its name as type. The query chooses how a
client listens: see `subscribe`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import streamkit.asgi
import streamkit.wsgi
from streamkit import Event
from streamkit.channels import Channels, Log, Subscription
from tests.rig.asgi import answer_lifespan
from tests.rig.sidedoor import open_side_door

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope

LOG = "STREAMKIT_RIG_LOG"
NUMBERS, OTHERS = "numbers", "others"

BUFFER_SIZE = 16 * 1024
"""Small, so that a burst is too much for some readers."""


def open_log(where: str) -> Log:
    """Return the log at a URL of Redis, or in a file."""
    if where.startswith("redis://"):
        from streamkit.channels.redis import RedisLog

        return RedisLog(where, timeout=2.0, probe=2.0)
    from streamkit.channels import SQLiteLog

    return SQLiteLog(where, timeout=2.0)


channels = Channels(open_log(os.environ[LOG])) if LOG in os.environ else None

open_side_door()


def subscribe(query: str, after: str | None) -> Subscription:
    """Return what a client listens to: `both` channels, only each so many-th number, another way to go on at a gap."""
    assert channels is not None, f"{LOG} is not set"
    asked = parse_qs(query, keep_blank_values=True)
    names = [NUMBERS, OTHERS] if "both" in asked else [NUMBERS]
    options: dict[str, Any] = {"on_gap": "live"} if "live" in asked else {}
    if "every" in asked:
        every = int(asked["every"][0])
        options["visible"] = lambda event: _number(event) % every == 0
    if "drop" in asked:
        options["overflow"] = "drop_oldest"
    return channels.subscribe(*names, after=after, buffer_size=BUFFER_SIZE, **options)


def _number(event: Event) -> int:
    return int(event.data)


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer any request by the numbers after the client's last one."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    assert scope["type"] == "http"
    after = streamkit.asgi.last_event_id(scope)  # type: ignore[arg-type]
    response: Any = streamkit.asgi.EventStreamResponse(subscribe(scope["query_string"].decode(), after))
    await response(scope, receive, send)


def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Do the same under WSGI."""
    events = subscribe(environ["QUERY_STRING"], streamkit.wsgi.last_event_id(environ))
    return streamkit.wsgi.EventStreamResponse(events)(environ, start_response)
