"""What the WSGI middleware gives a stream that an app has made by itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from streamkit import StreamPolicy, stats
from streamkit._engine.foreign.kinds import _warned
from streamkit.wsgi import StreamingMiddleware
from tests.adapters.wsgi_calls import Call
from tests.engine.lives import Ends
from tests.middleware.wsgi.apps import EVENTS, A, B, Body, Told, app_of, by_app, late_app_of
from tests.rig.wsgi import WSGIHost


@by_app
@pytest.mark.parametrize(
    "content_type",
    [
        "text/event-stream",
        "Text/Event-Stream; charset=utf-8",
        "application/x-ndjson",
        "application/jsonl",
        "application/json-seq",
        "text/csv",
    ],
)
def test_stream_passes_byte_by_byte_with_headers_of_a_stream(make: Any, content_type: str) -> None:
    """It is counted as a stream, and ends as completed."""
    ends = Ends()
    app = make(Body([A, B]), [("Content-Type", content_type), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    with WSGIHost(StreamingMiddleware(app, on_close=ends)) as host, host.open("/") as stream:
        assert stream.read_to_end() == A + B
        assert stream.clean
        assert stream.done.wait(5)
        assert stream.head().headers == (
            ("content-type", content_type),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("cache-control", "no-cache, no-transform"),
            ("x-accel-buffering", "no"),
        )
    (reason, figures) = ends.told[0]
    assert (reason, figures.frames, figures.bytes) == ("completed", 2, len(A + B))


@by_app
def test_app_s_own_headers_win_and_the_server_s_are_dropped(make: Any) -> None:
    """A length, or a framing, of what is streamed can only be wrong."""
    headers = [
        ("content-type", "text/event-stream"),
        ("cache-control", "private"),
        ("x-accel-buffering", "yes"),
        ("Content-Length", "3"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "keep-alive"),
        ("Keep-Alive", "timeout=5"),
    ]
    call = Call(StreamingMiddleware(make(Body([A]), headers)))
    assert call.read() == A
    assert call.headers == {**dict(headers[:3]), "cache-control": "private, no-transform"}


def test_head_leaves_before_the_first_item() -> None:
    """Also while the app has nothing to send yet."""
    gate = threading.Event()

    def items() -> Iterator[bytes]:
        assert gate.wait(10)
        yield A

    with WSGIHost(StreamingMiddleware(app_of(items()))) as host, host.open("/") as stream:
        assert stream.head().status == 200
        gate.set()
        assert stream.read_to_end() == A


@by_app
def test_items_leave_one_by_one(make: Any) -> None:
    """None waits for the next to be made."""
    gates = [threading.Event() for _ in range(3)]

    def items() -> Iterator[bytes]:
        for number, gate in enumerate(gates):
            yield b"data: %d\n\n" % number
            assert gate.wait(10)

    with WSGIHost(StreamingMiddleware(make(items()))) as host, host.open("/") as stream:
        for number, gate in enumerate(gates):
            assert stream.read_until(b"data: %d\n\n" % number).endswith(b"data: %d\n\n" % number)
            gate.set()
        stream.read_to_end()
        assert stream.clean


@pytest.mark.parametrize("content_type", ["text/event-stream", "text/csv"])
def test_head_request_is_answered_without_iterating(content_type: str) -> None:
    """The app's body is closed, and no stream is counted."""
    body, opened = Body(), stats().opened
    app = StreamingMiddleware(app_of(body, [("Content-Type", content_type)]))
    with WSGIHost(app) as host, host.open("/", method="HEAD") as stream:
        assert stream.read_to_end() == b""
        assert stream.clean
        assert stream.head().get("x-accel-buffering") == "no"
    assert (body.iterated, body.closed, stats().opened) == (0, 1, opened)


def test_head_request_ends_a_generator_at_its_first_item() -> None:
    """It cannot be known sooner that the app streams."""
    closed: list[int] = []
    call = Call(StreamingMiddleware(late_app_of([A, B], EVENTS, lambda: closed.append(1))), method="HEAD")
    assert call.read() == b""
    assert closed == [1]
    assert call.headers["X-Accel-Buffering"] == "no"


@by_app
@pytest.mark.parametrize("taken", [0, 1, 3])
def test_body_is_closed_once_whenever_the_server_stops(make: Any, taken: int) -> None:
    """Before it starts, in the middle, and at its end; in the server's thread."""
    ends, closed = Ends(), []
    body: Any = Body([A, B])
    app = app_of(body) if make is app_of else late_app_of([A, B], EVENTS, lambda: closed.append(1))
    call = Call(StreamingMiddleware(app, on_close=ends))
    for _ in range(taken):
        call.take()
    call.close()
    call.close()
    if make is app_of:
        assert body.closed == 1
        assert body.threads == {threading.get_ident()}
    else:
        assert closed == [1] * bool(taken)
    begun = make is app_of or taken
    assert ends.reasons == (["completed" if taken == 3 else "disconnected"] if begun else [])


def test_iterable_with_an_iterator_of_its_own_is_closed_as_a_server_does() -> None:
    """PEP 3333 has close() of what the app returned, once."""
    inner = Body()

    class Outer:
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            return inner

        def close(self) -> None:
            self.closed += 1
            inner.close()

    outer = Outer()
    assert Call(StreamingMiddleware(app_of(outer))).read() == A + B
    assert (outer.closed, inner.closed) == (1, 1)


@by_app
def test_error_of_the_body_reaches_the_server(make: Any) -> None:
    """It cuts the connection: half a stream must not pass for a whole one."""

    def items() -> Iterator[bytes]:
        yield A
        raise ValueError("half")

    ends = Ends()
    with WSGIHost(StreamingMiddleware(make(items()), on_close=ends)) as host, host.open("/") as stream:
        assert stream.read_to_end() == A
        assert stream.done.wait(5)
        assert stream.ending == "truncated"
        assert isinstance(stream.error, ValueError)
    assert ends.reasons == ["error"]


@pytest.mark.parametrize("keepalive", [None, 15])
def test_text_in_place_of_bytes_is_an_error(keepalive: float | None) -> None:
    """As for any server."""
    policy = StreamPolicy(keepalive=keepalive)
    call = Call(StreamingMiddleware(app_of(iter(["text"])), policy=policy), threads=True)
    with pytest.raises(TypeError, match="must give bytes, not 'text'"):
        call.read()


@pytest.mark.parametrize(
    ("accept", "seen"),
    [("text/event-stream", None), ("Application/X-NDJSON, */*;q=0.1", None), ("text/html", "gzip"), ("*/*", "gzip")],
)
def test_app_does_not_see_accept_encoding_of_who_asks_for_a_stream(accept: str, seen: str | None) -> None:
    """The same dict reaches it, so that apps and middleware go on talking by it."""
    environs: list[Any] = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        environs.append(environ)
        start_response("200 OK", EVENTS)
        return []

    environ = {"HTTP_ACCEPT": accept, "HTTP_ACCEPT_ENCODING": "gzip"}
    StreamingMiddleware(app)(environ, Told())
    assert environs[0] is environ
    assert environ.get("HTTP_ACCEPT_ENCODING") == seen


def test_stream_that_comes_compressed_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """It passes all the same."""
    _warned.clear()
    app = StreamingMiddleware(app_of(iter([A, A]), [*EVENTS, ("Content-Encoding", "br")]))
    with caplog.at_level(logging.WARNING, "streamkit"):
        assert Call(app).read() == A + A
        assert Call(app).read() == b""
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Content-Encoding: br" in caplog.text
