"""A Django project of one view, made by the test that serves it, under either handler and any middleware."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event as Flag
from typing import Any, Literal

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest
from django.test import AsyncRequestFactory, RequestFactory, override_settings
from django.urls import path

from streamkit import Pipe
from streamkit.errors import PipeClosedError
from tests.rig.apps.django import TidyASGIHandler
from tests.rig.asgi import ASGIHost
from tests.rig.wsgi import WSGIHost

Interface = Literal["asgi", "wsgi"]
Kind = Literal["sync", "async"]
View = Callable[[Any], Any]


INTERFACES: tuple[Interface, ...] = ("asgi", "wsgi")
KINDS: tuple[Kind, ...] = ("sync", "async")

by_interface = pytest.mark.parametrize("interface", INTERFACES)
by_source = pytest.mark.parametrize("source", KINDS)
by_view = pytest.mark.parametrize("view", KINDS)
by_request = pytest.mark.parametrize("given", [True, False], ids=["request", "no-request"])


class Fed:
    """A source that yields what the test puts in; tells when it was started and when it was closed."""

    def __init__(self) -> None:
        self.pipe = Pipe()
        self.put = self.pipe.put
        self.started = Flag()
        self.closed = Flag()

    def is_closed(self, within: float = 2.0) -> bool:
        """Tell whether the source is closed soon; it goes on yielding, as a thread inside `next` cannot be stopped."""
        until = time.monotonic() + within
        while not self.closed.wait(0.02) and time.monotonic() < until:
            with suppress(PipeClosedError):
                self.put("more")
        return self.closed.is_set()

    def source(self, kind: Kind) -> Any:
        """Return the source as a generator of one kind."""
        return self._sync() if kind == "sync" else self._async()

    def _sync(self) -> Iterator[object]:
        self.started.set()
        try:
            yield from self.pipe
        finally:
            self.closed.set()

    async def _async(self) -> AsyncIterator[object]:
        self.started.set()
        try:
            async for item in self.pipe:
                yield item
        finally:
            self.closed.set()


def as_view(kind: Kind, respond: View) -> View:
    """Return `respond` as a view, sync or async."""

    def view(request: Any) -> Any:
        return respond(request)

    async def async_view(request: Any) -> Any:
        return respond(request)

    return view if kind == "sync" else async_view


@contextmanager
def project(view: View, **settings: Any) -> Iterator[None]:
    """Make `view` the only page of the site, unless the settings name others."""
    with override_settings(**{"ROOT_URLCONF": (path("", view, name="page"),), **settings}):
        yield


@contextmanager
def serving(interface: Interface, view: View, **settings: Any) -> Iterator[ASGIHost | WSGIHost]:
    """Serve `view` by a handler of Django's, in process."""
    with project(view, **settings):
        asgi: Any = TidyASGIHandler()  # asgiref's type of an ASGI app is stricter than Django's handler
        host: ASGIHost | WSGIHost = ASGIHost(asgi) if interface == "asgi" else WSGIHost(WSGIHandler())
        with host:
            yield host


def request_of(interface: Interface, **headers: str) -> HttpRequest:
    """Return a GET request as one of the handlers makes it."""
    factory = RequestFactory() if interface == "wsgi" else AsyncRequestFactory()
    return factory.get("/", headers=headers)
