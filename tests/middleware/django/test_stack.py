"""The Django middleware among others, in any place of MIDDLEWARE."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

pytest.importorskip("django")

from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client

from streamkit import StreamPolicy
from streamkit._engine.foreign.kinds import _warned
from tests.adapters.django_project import (
    KINDS,
    Interface,
    Kind,
    as_view,
    by_interface,
    by_source,
    by_view,
    project,
    serving,
)
from tests.adapters.test_django_middleware import WRAPPERS
from tests.engine.lives import Ends, wait_for
from tests.middleware.django.site import MIDDLEWARE, SUBCLASS, Source, counting_requests, options, site
from tests.middleware.wsgi.apps import BROWSER

GZIP = "django.middleware.gzip.GZipMiddleware"
_WRAPPERS = dict(zip(KINDS, WRAPPERS, strict=True))
ENCODINGS = {"Accept-Encoding": "gzip"}

by_place = pytest.mark.parametrize("outermost", [True, False], ids=["outermost", "innermost"])


def _with(outermost: bool, *others: str) -> list[str]:
    return [SUBCLASS, *others] if outermost else [*others, SUBCLASS]


@by_interface
@by_view
@pytest.mark.parametrize(
    ("outermost", "source", "wrapper"),
    [
        # Inside it has plain Django's content in its hands, which can be wrapped one way only.
        (True, "sync", "sync"),
        (True, "async", "async"),
        *((False, source, wrapper) for source in KINDS for wrapper in KINDS),
    ],
)
def test_content_that_another_middleware_wraps_leaves_one_by_one(
    interface: Interface, view: Kind, source: Kind, outermost: bool, wrapper: Kind
) -> None:
    """A wrapper around the middleware may even wrap the wrong way for the source, or for the handler."""
    fed, ends = Source(), Ends()
    with (
        options(on_close=ends),
        counting_requests() as over,
        site(interface, fed.respond(source), *_with(outermost, _WRAPPERS[wrapper]), view=view) as host,
        host.open("/") as stream,
    ):
        for item in ("a", "b"):
            fed.put(item)
            stream.read_until(f"DATA: {item}\n\n".upper().encode())
        fed.pipe.close()
        stream.read_to_end()
        assert stream.clean
        wait_for(lambda: over() == 1)
        assert ends.reasons == ["completed"]
    assert fed.ends == 1


@by_interface
@by_source
@by_place
def test_wrapped_content_is_closed_when_the_client_leaves(interface: Interface, source: Kind, outermost: bool) -> None:
    """By what wraps it, wherever that is."""
    fed = Source()
    with (
        options(policy=StreamPolicy(keepalive=0.05)),
        counting_requests() as over,
        site(interface, fed.respond(source), *_with(outermost, _WRAPPERS[source])) as host,
        host.open("/") as stream,
    ):
        fed.put("a")
        stream.read_until(b"DATA: A\n\n")
        stream.leave()
        assert fed.is_closed(5)
        wait_for(lambda: over() == 1)
    assert fed.ends == 1


@by_interface
@by_source
@by_place
def test_compression_holds_nothing_back(interface: Interface, source: Kind, outermost: bool) -> None:
    """Outside it finds an encoding that the wire does not carry; inside it does not see that the client takes any."""
    fed = Source()
    with (
        site(interface, fed.respond(source), *_with(outermost, GZIP)) as host,
        host.open("/", headers={**ENCODINGS, **BROWSER}) as stream,
    ):
        for item in ("a", "b"):
            fed.put(item)
            stream.read_until(f"data: {item}\n\n".encode())
        fed.pipe.close()
        stream.read_to_end()
        assert stream.head().get("content-encoding") is None


@by_interface
def test_stream_that_comes_compressed_is_warned_of(interface: Interface, caplog: pytest.LogCaptureFixture) -> None:
    """A client that does not ask for a stream by its name, and a middleware inside that compresses."""
    _warned.clear()
    fed = Source()
    with caplog.at_level(logging.WARNING, "streamkit"), site(interface, fed.respond("sync"), SUBCLASS, GZIP) as host:
        stream = host.open("/", headers=ENCODINGS)
        fed.put("a")
        fed.pipe.close()
        assert stream.read_to_end().startswith(b"\x1f\x8b")
        assert stream.clean
    assert "Content-Encoding: gzip" in caplog.text


@by_interface
def test_other_responses_are_compressed_as_ever(interface: Interface) -> None:
    """The middleware hides nothing from a request for a page."""
    page = as_view("sync", lambda _: HttpResponse(b"a" * 1000))
    with serving(interface, page, MIDDLEWARE=[MIDDLEWARE, GZIP]) as host:
        stream = host.open("/", headers={**ENCODINGS, "Accept": "text/html"})
        stream.read_to_end()
        assert stream.head().get("content-encoding") == "gzip"


@by_source
def test_django_s_test_clients_read_a_stream(source: Kind) -> None:
    """And close the response at its end, from inside what they read."""
    fed = Source()
    fed.put("a")
    fed.pipe.close()
    with project(as_view("sync", fed.respond(source)), MIDDLEWARE=[MIDDLEWARE]):
        response: Any = Client().get("/")
        assert b"".join(response.streaming_content) == b"data: a\n\n"
        response.close()
    assert fed.ends == 1

    async def read(again: Source) -> bytes:
        response: Any = await AsyncClient().get("/")
        return b"".join([chunk async for chunk in response.streaming_content])

    again = Source()
    again.put("b")
    again.pipe.close()
    with project(as_view("sync", again.respond(source)), MIDDLEWARE=[MIDDLEWARE]):
        assert asyncio.run(read(again)) == b"data: b\n\n"
    assert again.ends == 1


@by_view
def test_async_content_runs_on_the_loop_of_its_server(view: Kind) -> None:
    """Where its clients and locks are."""
    loops: list[object] = []

    async def content() -> AsyncIterator[bytes]:
        loops.append(asyncio.get_running_loop())
        yield b"a"

    async def here() -> object:
        return asyncio.get_running_loop()

    with site("asgi", lambda _: StreamingHttpResponse(content()), view=view) as host:
        assert host.open("/").read_to_end() == b"a"
        assert loops == [host.run(here())]  # type: ignore[union-attr]
