"""What the clients of the endurance run ask for: the numbers of a shared log, or a count that never waits.

`?count` goes on behind the client's last number as fast as it is read, so whoever reads slowly, or not at all, has the
server wait for it; under ASGI `?count&thread` has it from a thread. All else is as in `tests.rig.apps.numbers`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import streamkit.asgi
import streamkit.wsgi
from streamkit import Event, StreamPolicy
from streamkit.channels import Subscription
from tests.rig.apps.numbers import subscribe
from tests.rig.asgi import answer_lifespan

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope

POLICY = StreamPolicy(send_timeout=3.0, keepalive=2.0)
"""Whoever takes nothing for three seconds is cut off; and a client that is gone is noticed within one keepalive."""

_PADDING = "x" * 4000


def count(after: str | None) -> Iterator[Event]:
    """Count up from the client's last number."""
    number = int(after or 0)
    while True:
        number += 1
        yield Event(number, id=number, comment=_PADDING)


async def count_async(after: str | None) -> AsyncIterator[Event]:
    """Do the same, and let others in."""
    for event in count(after):
        yield event
        await asyncio.sleep(0)


def source(query: str, after: str | None, *, sync: bool) -> Iterator[Event] | AsyncIterator[Event] | Subscription:
    """Return what a client has asked for."""
    asked = parse_qs(query, keep_blank_values=True)
    if "count" not in asked:
        return subscribe(query, after)
    return count(after) if sync or "thread" in asked else count_async(after)


def _note(reason: object, error: object) -> None:
    """Have it in the server's log, to be counted."""
    sys.stderr.write(f"closed: {reason}\n")


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer any request."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    assert scope["type"] == "http"
    after = streamkit.asgi.last_event_id(scope)  # type: ignore[arg-type]
    events = source(scope["query_string"].decode(), after, sync=False)
    response: Any = streamkit.asgi.EventStreamResponse(events, policy=POLICY, on_close=_note)
    await response(scope, receive, send)


def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Do the same under WSGI."""
    events = source(environ["QUERY_STRING"], streamkit.wsgi.last_event_id(environ), sync=True)
    return streamkit.wsgi.EventStreamResponse(events, policy=POLICY, on_close=_note)(environ, start_response)
