"""What the Django middleware leaves alone, what of a response it keeps, and what it refuses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

pytest.importorskip("django")

from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.utils import translation

import streamkit.wsgi
from streamkit import StreamLimit, StreamPolicy, stats
from streamkit.django import EventStreamResponse, StreamingMiddleware
from tests.adapters.django_project import (
    Interface,
    Kind,
    as_view,
    by_interface,
    by_source,
    project,
    request_of,
)
from tests.engine.lives import Ends, wait_for
from tests.middleware.django.site import MIDDLEWARE, SUBCLASS, Source, counting_requests, options, site
from tests.middleware.wsgi.apps import Body
from tests.rig.wsgi import WSGIHost


@by_interface
def test_response_of_streamkit_passes_through(interface: Interface) -> None:
    """It is the same object, one stream, with its own end."""
    inner, outer, opened = Ends(), Ends(), stats().opened
    made: list[Any] = []

    def respond(request: Any) -> Any:
        made.append(EventStreamResponse(iter("ab"), request=request, on_close=inner))
        return made[0]

    with options(on_close=outer), site(interface, respond, SUBCLASS, MIDDLEWARE) as host:
        assert host.open("/").read_to_end().removeprefix(b":\n") == b"data: a\n\ndata: b\n\n"
        wait_for(lambda: inner.reasons == ["completed"])
    assert outer.told == []
    assert type(made[0]) is EventStreamResponse
    assert stats().opened == opened + 1


@by_interface
@by_source
def test_head_request_to_a_response_of_streamkit_without_a_request(interface: Interface, source: Kind) -> None:
    """The middleware knows what the view did not say."""
    fed, opened = Source(), stats().opened
    with site(interface, lambda _: EventStreamResponse(fed.events(source)), MIDDLEWARE) as host:
        stream = host.open("/", method="HEAD")
        assert stream.read_to_end() == b""
        assert stream.clean
    assert not fed.started.is_set()
    assert stats().opened == opened


@by_interface
def test_middleware_inside_itself_counts_a_stream_once(interface: Interface) -> None:
    """The inner one has taken it over."""
    fed, ends, opened = Source(), Ends(), stats().opened
    fed.put("a")
    fed.pipe.close()
    with options(on_close=ends), site(interface, fed.respond("sync"), MIDDLEWARE, SUBCLASS) as host:
        assert host.open("/").read_to_end() == b"data: a\n\n"
        wait_for(lambda: ends.reasons == ["completed"])
    assert stats().opened == opened + 1


def _sized() -> StreamingHttpResponse:
    return StreamingHttpResponse(iter([b"a"]), headers={"Content-Length": "1"})


@pytest.mark.parametrize(
    "make",
    [lambda: HttpResponse(b"a"), lambda: FileResponse(iter([b"a"])), _sized],
    ids=["page", "file", "length"],
)
def test_what_does_not_stream_passes_untouched(make: Any) -> None:
    """The same object, of the same class, with the same headers."""
    response: Any = make()
    before = type(response), dict(response.items())
    answer: Any = StreamingMiddleware(lambda _request: response)(request_of("wsgi"))
    assert answer is response
    assert (type(response), dict(response.items())) == before
    response.close()


class Special(StreamingHttpResponse):
    """A project's own kind of response."""

    closes = 0

    def close(self) -> None:
        """Take note."""
        self.closes += 1
        super().close()


@by_interface
def test_response_stays_what_the_view_has_made(interface: Interface) -> None:
    """Its class, headers, cookies, status and closers."""
    closed = threading.Event()
    made = Special(iter([b"a"]), status=202, reason="Soon", content_type="text/plain")
    made.set_cookie("a", "1")
    made["Cache-Control"] = "private"
    made["Connection"] = "keep-alive"
    closers: list[Any] = vars(made)["_resource_closers"]
    closers.append(closed.set)
    response: Any = StreamingMiddleware(lambda _request: made)(request_of(interface))
    assert response is made
    assert response.is_async is (interface == "asgi")
    assert isinstance(response, Special)
    assert (response.status_code, response.reason_phrase, response.cookies["a"].value) == (202, "Soon", "1")
    assert dict(response.items()) == {
        "Content-Type": "text/plain",
        "Cache-Control": "private",
        "X-Accel-Buffering": "no",
    }

    async def read() -> bytes:
        return b"".join([chunk async for chunk in response])

    assert (asyncio.run(read()) if interface == "asgi" else b"".join(response)) == b"a"
    assert closed.is_set()
    response.close()
    assert made.closes == 1


@by_interface
def test_closers_of_the_content_run_where_it_was_read(interface: Interface) -> None:
    """Once, and none of them in another thread while the content is being read."""
    threads: dict[str, int] = {}

    class Rows:
        closes = 0

        def __iter__(self) -> Iterator[bytes]:
            threads["read"] = threading.get_ident()
            yield b"1\n"

        def close(self) -> None:
            threads["closed"] = threading.get_ident()
            self.closes += 1

    rows = Rows()
    with counting_requests() as over, site(interface, lambda _: StreamingHttpResponse(rows)) as host:
        assert host.open("/").read_to_end() == b"1\n"
        wait_for(lambda: over() == 1)
    assert rows.closes == 1
    assert threads["read"] == threads["closed"]


def test_iterator_that_closes_itself_is_closed_once() -> None:
    """It is the content and its iterator in one."""
    body = Body([b"1"])
    with site("wsgi", lambda _: StreamingHttpResponse(body)) as host:
        assert host.open("/").read_to_end() == b"1"
    assert body.closed == 1


@by_interface
def test_iterator_behind_the_content_is_closed_when_the_client_leaves(interface: Interface) -> None:
    """Though somebody holds it, and the content itself has nothing to close."""
    fed = Source()
    held = fed.events("sync")

    class Rows:
        def __iter__(self) -> Iterator[str]:
            return held  # type: ignore[no-any-return]

    with options(policy=StreamPolicy(keepalive=0.05)), site(interface, lambda _: StreamingHttpResponse(Rows())) as host:
        with host.open("/") as stream:
            fed.put("a")
            stream.read_until(b"data: a\n\n")
        assert fed.is_closed(5)
    assert fed.ends == 1


@by_interface
@by_source
def test_closer_that_fails_keeps_no_other_from_its_turn(
    interface: Interface, source: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    """As when Django closes a response; the failure is logged besides."""
    closed = threading.Event()

    def fail() -> None:
        raise OSError("cannot be closed")

    async def items() -> AsyncIterator[bytes]:
        yield b"a"

    made = StreamingHttpResponse(items() if source == "async" else iter([b"a"]))
    closers: list[Any] = vars(made)["_resource_closers"]
    closers[:] = [fail, closed.set]
    with site(interface, lambda _: made) as host:
        assert host.open("/").read_to_end() == b"a"
        assert closed.wait(5)
    assert "cannot be closed" in caplog.text


def test_head_request_closes_the_content_at_once() -> None:
    """Whether the empty body is read or not."""
    body, request = Body(), request_of("wsgi")
    request.method = "HEAD"
    response: Any = StreamingMiddleware(lambda _request: StreamingHttpResponse(body))(request)
    assert body.closed == 1
    assert b"".join(response) == b""
    response.close()
    assert (body.iterated, body.closed) == (0, 1)


def test_refusal_has_the_reason_of_its_own_status() -> None:
    """Not that of the stream, nor its encoding."""
    limit = StreamLimit(1)
    limit.acquire()
    kind: Any = type("Limited", (StreamingMiddleware,), {"limit": limit})
    packed = {"Content-Encoding": "br"}
    response = kind(lambda _: StreamingHttpResponse(iter([b"a"]), reason="Fine", headers=packed))(request_of("wsgi"))
    assert (response.status_code, response.reason_phrase) == (503, "Service Unavailable")
    assert "Content-Encoding" not in dict(response.headers.items())
    response.close()


def test_connections_of_the_view_stay_open_while_its_content_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have begun to read from a cursor."""
    released: list[object] = []
    monkeypatch.setattr("streamkit._engine._django.response.close_old_connections", lambda: released.append(None))
    response: Any = StreamingMiddleware(lambda _request: StreamingHttpResponse(iter([b"a"])))(request_of("wsgi"))
    assert b"".join(response) == b"a"
    assert released == []
    response.close()


@by_interface
@by_source
def test_content_is_read_in_the_language_of_its_view(interface: Interface, source: Kind) -> None:
    """Also in a thread of its own."""

    def words() -> Iterator[str]:
        yield str(translation.get_language())

    async def words_async() -> AsyncIterator[str]:
        yield str(translation.get_language())

    def respond(_: object) -> StreamingHttpResponse:
        translation.activate("de")
        content: Any = words() if source == "sync" else words_async()
        return StreamingHttpResponse(content)

    with site(interface, respond) as host:
        assert host.open("/").read_to_end() == b"de"


def test_response_of_streamkit_passes_the_wsgi_middleware_around_django() -> None:
    """It is one stream there too."""
    ends, opened = Ends(), stats().opened
    with project(as_view("sync", lambda _: EventStreamResponse(iter("ab")))):
        app = streamkit.wsgi.StreamingMiddleware(WSGIHandler(), on_close=ends)
        with WSGIHost(app) as host:
            assert host.open("/").read_to_end().removeprefix(b":\n") == b"data: a\n\ndata: b\n\n"
    assert ends.told == []
    assert stats().opened == opened + 1


@by_interface
def test_closer_of_async_content_is_awaited(interface: Interface) -> None:
    """Where it is a coroutine, which Django would leave unawaited."""
    closed = threading.Event()

    class Rows:
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"1\n"

        async def close(self) -> None:
            await asyncio.sleep(0)
            closed.set()

    with site(interface, lambda _: StreamingHttpResponse(Rows())) as host:
        assert host.open("/").read_to_end() == b"1\n"
    assert closed.is_set()


@pytest.mark.parametrize("wrong", [{"policy": 15}, {"limit": 100}, {"on_close": "log"}], ids=["policy", "limit", "end"])
def test_wrong_options_are_refused_when_the_project_starts(wrong: dict[str, Any]) -> None:
    """The text names the option."""
    kind = type("Wrong", (StreamingMiddleware,), wrong)
    with pytest.raises(TypeError, match=next(iter(wrong))):
        kind(lambda _request: None)


def test_function_as_class_attribute_is_no_method() -> None:
    """on_close gets the reason and the figures, and nothing before them."""
    told: list[str] = []

    def note(reason: str, _figures: object) -> None:
        told.append(reason)

    kind: Any = type("Noting", (StreamingMiddleware,), {"on_close": note})
    response = kind(lambda _request: StreamingHttpResponse(iter([b"a"])))(request_of("wsgi"))
    assert b"".join(response) == b"a"
    response.close()
    assert told == ["completed"]
