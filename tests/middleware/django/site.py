"""Plain Django streams behind the middleware: a source that is watched, and a view that knows nothing of streamkit."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.signals import request_finished
from django.http import StreamingHttpResponse

from streamkit.django import StreamingMiddleware
from tests.adapters.django_project import Fed, Interface, Kind, View, as_view, serving
from tests.rig.asgi import ASGIHost
from tests.rig.wsgi import WSGIHost

MIDDLEWARE = "streamkit.django.StreamingMiddleware"
SUBCLASS = f"{__name__}.Streams"


class Streams(StreamingMiddleware):
    """What a project names in MIDDLEWARE to set options; `options` below sets them for one test."""


@contextmanager
def options(**given: Any) -> Iterator[None]:
    """Give `Streams` these options."""
    try:
        for name, value in given.items():
            setattr(Streams, name, value)
        yield
    finally:
        for name in given:
            delattr(Streams, name)


class Source(Fed):
    """Gives whole events of what a test puts in; counts its ends, and the threads that ran it."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = 0
        self.threads: set[int] = set()

    def events(self, kind: Kind) -> Any:
        """Return the events as a generator of one kind."""
        return self._events() if kind == "sync" else self._events_async()

    def _events(self) -> Iterator[str]:
        self.started.set()
        try:
            for item in self.pipe:
                self.threads.add(threading.get_ident())
                yield f"data: {item}\n\n"
        finally:
            self._end()

    async def _events_async(self) -> AsyncIterator[str]:
        self.started.set()
        try:
            async for item in self.pipe:
                self.threads.add(threading.get_ident())
                yield f"data: {item}\n\n"
        finally:
            self._end()

    def _end(self) -> None:
        self.threads.add(threading.get_ident())
        self.ends += 1
        self.closed.set()

    def respond(self, kind: Kind, content_type: str = "text/event-stream", **headers: str) -> View:
        """Return what a view does."""
        return lambda _request: StreamingHttpResponse(self.events(kind), content_type=content_type, headers=headers)


@contextmanager
def site(interface: Interface, respond: View, *middleware: str, view: Kind = "sync") -> Iterator[ASGIHost | WSGIHost]:
    """Serve a page behind `middleware`, or behind the plain one of streamkit."""
    with serving(interface, as_view(view, respond), MIDDLEWARE=list(middleware or (MIDDLEWARE,))) as host:
        yield host


@contextmanager
def counting_requests() -> Iterator[Callable[[], int]]:
    """Count how often Django says that a request is over."""
    over: list[object] = []

    def note(**_: object) -> None:
        over.append(None)

    request_finished.connect(note)
    try:
        yield lambda: len(over)
    finally:
        request_finished.disconnect(note)
