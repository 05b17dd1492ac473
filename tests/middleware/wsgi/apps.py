"""WSGI apps that know nothing of streamkit, and a middleware whose time a test owns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from streamkit._engine.clock import Clock
from streamkit.wsgi import StreamingMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

EVENTS = [("Content-Type", "text/event-stream")]
BROWSER = {"Accept": "text/event-stream"}
A, B = b"data: a\n\n", b"data: b\n\n"


class Body:
    """An app's body: counts what is done to it, and by which thread.

    Args:
        items: What it gives.
    """

    def __init__(self, items: Iterable[Any] = (A, B)) -> None:
        self._items: Iterator[bytes] = iter(items)
        self.iterated = 0
        self.closed = 0
        self.threads: set[int] = set()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self.iterated += 1
        self.threads.add(threading.get_ident())
        return next(self._items)

    def close(self) -> None:
        """Take note."""
        self.threads.add(threading.get_ident())
        self.closed += 1


def app_of(body: Any, headers: Any = EVENTS, status: str = "200 OK") -> WSGIApplication:
    """Return an app that answers every request with `body`."""

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        start_response(status, headers)
        return body

    return app


def late_app_of(items: Iterable[bytes], headers: Any = EVENTS, closed: Callable[[], object] = list) -> WSGIApplication:
    """Return an app that is a generator itself, and so says its head when it is iterated."""

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", headers)
        try:
            yield from items
        finally:
            closed()

    return app


def timed(app: WSGIApplication, clock: Clock, **options: Any) -> StreamingMiddleware:
    """Return the middleware around `app`, living by `clock`."""
    kind: type[StreamingMiddleware] = type("Timed", (StreamingMiddleware,), {"_clock": clock})
    return kind(app, **options)


by_app = pytest.mark.parametrize("make", [app_of, late_app_of], ids=["view", "generator"])


class Told:
    """A server's start_response that keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __call__(self, *said: Any) -> Callable[[bytes], object]:
        """Take note."""
        self.calls.append(said)
        return lambda _data: None
