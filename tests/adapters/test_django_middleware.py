"""Middleware around `streamkit.django`: what compresses, wraps or replaces the content, and what only adds headers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

pytest.importorskip("django")

from django.middleware.csrf import get_token

from streamkit import StreamPolicy
from streamkit.django import EventStreamResponse, TextStreamResponse
from tests.adapters.django_project import (
    Fed,
    Interface,
    Kind,
    as_view,
    by_interface,
    by_request,
    by_source,
    by_view,
    request_of,
    serving,
)
from tests.rig.asgi import ASGIHost
from tests.rig.requirements import needs
from tests.rig.scenarios import GATED_ITEMS
from tests.rig.servers import SERVERS, Server


def wrap_sync(get_response: Any) -> Any:
    """Wrap the content in a sync iterator, as middleware written for WSGI does."""

    def middleware(request: Any) -> Any:
        response = get_response(request)
        response.streaming_content = (chunk.upper() for chunk in response.streaming_content)
        return response

    return middleware


def wrap_async(get_response: Any) -> Any:
    """Wrap the content in an async iterator, whatever the handler is."""

    async def upper(chunks: Any) -> AsyncIterator[str]:
        async for chunk in chunks:
            yield chunk.decode().upper()  # Django takes text too

    def middleware(request: Any) -> Any:
        response = get_response(request)
        response.streaming_content = upper(response.streaming_content)
        return response

    return middleware


WRAPPERS = [f"{__name__}.wrap_sync", f"{__name__}.wrap_async"]


@by_interface
@by_source
@by_request
@pytest.mark.parametrize("middleware", [*[[wrapper] for wrapper in WRAPPERS], WRAPPERS], ids=["sync", "async", "both"])
def test_wrapped_content_comes_one_by_one(
    interface: Interface, source: Kind, given: bool, middleware: list[str]
) -> None:
    """A middleware may wrap the content the right way for the handler or the wrong one: items are not held back."""
    fed = Fed()

    def respond(request: Any) -> Any:
        return EventStreamResponse(fed.source(source), request=request if given else None)

    with serving(interface, respond, MIDDLEWARE=middleware) as host, host.open("/") as stream:
        for item in ("a", "b", "c"):
            fed.put(item)
            stream.read_until(f"DATA: {item}\n\n".upper().encode())
        fed.pipe.close()
        stream.read_to_end()
        assert stream.clean
    assert fed.closed.wait(2)


@by_interface
@by_source
@pytest.mark.parametrize("middleware", WRAPPERS, ids=["sync", "async"])
def test_wrapped_source_is_closed_when_the_client_leaves(interface: Interface, source: Kind, middleware: str) -> None:
    """What closes the wrapper closes the source behind it."""
    fed = Fed()

    def respond(request: Any) -> Any:
        return EventStreamResponse(fed.source(source), request=request, policy=StreamPolicy(keepalive=0.05))

    with serving(interface, respond, MIDDLEWARE=[middleware]) as host, host.open("/") as stream:
        fed.put("a")
        stream.read_until(b"DATA: A\n\n")
        stream.leave()
        # An async source is woken where it waits; what a thread is inside of ends with its next item.
        assert fed.closed.wait(2) if source == "async" else fed.is_closed()


@by_interface
@by_source
def test_django_s_own_middleware_holds_nothing_back(interface: Interface, source: Kind) -> None:
    """Compression, conditional requests, sessions and the rest leave a stream alone, and what they add arrives."""
    fed = Fed()
    middleware = [
        "django.middleware.gzip.GZipMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ]

    def respond(request: Any) -> Any:
        request.session["seen"] = True
        get_token(request)
        return EventStreamResponse(fed.source(source), request=request)

    sessions = "django.contrib.sessions.backends.signed_cookies"
    with serving(interface, respond, MIDDLEWARE=middleware, SESSION_ENGINE=sessions) as host:
        stream = host.open("/", headers={"Accept-Encoding": "gzip", "Accept-Language": "de"})
        fed.put(1)
        stream.read_until(b"data: 1\n\n")
        fed.put(2)
        stream.read_until(b"data: 2\n\n")
        fed.pipe.close()
        stream.read_to_end()
        head = stream.head()
        assert head.get("content-encoding") is None
        assert head.get("content-length") is None
        assert "sessionid" in str(head.headers)
        assert "csrftoken" in str(head.headers)
        assert "Cookie" in (head.get("vary") or "")
        assert head.get("x-frame-options") == "DENY"


def test_compressing_middleware_is_told_that_there_is_an_encoding() -> None:
    """Each way to ask for the header answers as for `identity`, and the wire does not carry it."""
    response = EventStreamResponse([])
    assert response.has_header("Content-Encoding")
    assert "Content-Encoding" in response
    assert response.headers.get("content-encoding") == response["Content-Encoding"] == "identity"
    assert "Content-Encoding" not in dict(response.items())
    response["Content-Encoding"] = "br"
    assert dict(response.items())["Content-Encoding"] == "br"
    response.close()


def test_content_can_be_replaced() -> None:
    """What is assigned to streaming_content is sent instead, and the source never starts."""
    fed = Fed()
    response = EventStreamResponse(fed.source("sync"), request=request_of("asgi"))
    response.streaming_content = ["a", b"b"]

    async def read() -> bytes:
        return b"".join([chunk async for chunk in response])

    assert asyncio.run(read()) == b"ab"
    response.close()
    assert not fed.started.is_set()


@by_source
@pytest.mark.servers
@pytest.mark.parametrize(
    ("server", "app"),
    [
        pytest.param("uvicorn-httptools", "asgi_app", marks=needs("uvicorn", "httptools", "uvloop")),
        pytest.param("gunicorn-gthread", "wsgi_app", marks=needs("gunicorn")),
    ],
)
def test_gzip_middleware_holds_nothing_back_on_a_server(server: str, app: str, source: Kind) -> None:
    """On the wire each item is there, as text, before the next is made."""
    with (
        Server(SERVERS[server], f"tests.adapters.django_behind_gzip:{app}") as running,
        running.open(f"/{source}/gated", headers={"Accept-Encoding": "gzip"}) as stream,
    ):
        for number in range(GATED_ITEMS):
            running.side_door.allow(number + 1)
            stream.read_until(f"data: item {number}\n\n".encode())
        stream.read_to_end()
        assert stream.clean
        assert stream.head().get("content-encoding") is None


@by_view
@pytest.mark.parametrize("middleware", WRAPPERS, ids=["sync", "async"])
def test_wrapped_async_source_stays_on_the_loop_of_its_server(view: Kind, middleware: str) -> None:
    """A sync wrapper costs a thread, but a source finds the clients and locks of its own event loop."""
    loops: list[object] = []

    async def source() -> AsyncIterator[str]:
        loops.append(asyncio.get_running_loop())
        yield "x"

    def respond(request: Any) -> Any:
        return TextStreamResponse(source(), request=request)

    with serving("asgi", as_view(view, respond), MIDDLEWARE=[middleware]) as host:
        assert host.open("/").read_to_end() == b"X"
        assert isinstance(host, ASGIHost)
        assert loops == [host.run(_loop_here())]


async def _loop_here() -> object:
    return asyncio.get_running_loop()


@by_interface
@by_source
def test_source_behind_a_wrapper_that_is_kept_is_closed(interface: Interface, source: Kind) -> None:
    """A wrapper that closes nothing, and content that somebody still holds, keep no source alive."""
    fed, kept = Fed(), []
    # A WSGI server hears of it when it writes; under ASGI nothing but the news itself may wake the source.
    policy = StreamPolicy(keepalive=0.05 if interface == "wsgi" else None)

    def respond(request: Any) -> Any:
        response = EventStreamResponse(fed.source(source), request=request, policy=policy)
        kept.append(response.streaming_content)
        response.streaming_content = map(bytes.upper, kept[0])
        return response

    with serving(interface, respond) as host, host.open("/") as stream:
        fed.put("a")
        stream.read_until(b"DATA: A\n\n")
        stream.leave()
        assert fed.closed.wait(1) if source == "async" else fed.is_closed(1)


def test_closing_a_response_closes_what_its_wrapper_reads() -> None:
    """response.close() alone reaches a source that runs in the server's own thread, behind a wrapper."""
    fed = Fed()
    response = EventStreamResponse(fed.source("sync"))
    content = response.streaming_content
    response.streaming_content = map(bytes.upper, content)
    fed.put("a")
    body = iter(response)
    while b"DATA" not in next(body):
        pass
    response.close()
    assert fed.closed.is_set()
