"""Bottle streams what `streamkit.wsgi` makes: a route calls the response as the WSGI application that it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import bottle
import pytest

from streamkit import Event
from streamkit.wsgi import EventStreamResponse, last_event_id
from tests.adapters.wsgi_calls import Call

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def bottled(response: WSGIApplication) -> Iterable[bytes]:
    """Return a WSGI response from a Bottle route."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        bottle.response.status = status
        for name, value in headers:
            bottle.response.add_header(name, value)

    return response(bottle.request.environ, start)


@pytest.mark.parametrize("threads", [False, True])
def test_bottle_route_streams_item_by_item(threads: bool) -> None:
    """Status and headers are ours, each item arrives whole, and the source is closed with the connection."""
    app, closed = bottle.Bottle(), []

    def counting(number: int) -> Iterator[Event]:
        try:
            while True:
                number += 1
                yield Event(str(number), id=str(number))
        finally:
            closed.append(number)

    @app.get("/count")  # type: ignore[untyped-decorator]
    def count() -> Iterable[bytes]:
        start = int(last_event_id(bottle.request.environ) or 0)
        return bottled(EventStreamResponse(counting(start), 202, {"X-Shop": "1"}))

    call = Call(app, "/count", threads=threads, headers={"Last-Event-ID": "7"})
    assert (call.status, call.headers["X-Shop"], call.headers["Content-Type"]) == (202, "1", "text/event-stream")
    body = b""
    while b"9" not in body:
        body += call.take()
    assert body.removeprefix(b":\n").startswith(b"id: 8\ndata: 8\n\nid: 9\ndata: 9\n\n")
    call.close()
    assert len(closed) == 1 or threads
    assert Call(app, "/count", method="HEAD").read() == b""
