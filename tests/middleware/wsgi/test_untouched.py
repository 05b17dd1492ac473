"""What is no stream passes the WSGI middleware as it came; what breaks PEP 3333 is the server's to judge."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper

import pytest

from streamkit import stats
from streamkit.wsgi import StreamingMiddleware
from tests.adapters.wsgi_calls import Call
from tests.middleware.wsgi.apps import EVENTS, A, Body, Told, app_of, late_app_of
from tests.rig.wsgi import WSGIHost

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TEXT = [("Content-Type", "text/plain")]


class Old:
    """Iterable as of old."""

    def __getitem__(self, index: int) -> bytes:
        return [A][index]


SIZED = [*TEXT, ("Content-Length", "1")]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ([b"a"], TEXT, "200 OK"),
        ((b"a",), TEXT, "200 OK"),
        ([b"a"], EVENTS, "200 OK"),
        (Body([b"a"]), SIZED, "200 OK"),
        (Body([b"1"]), [("Content-Type", "application/x-ndjson"), ("Content-Length", "1")], "200 OK"),
        (Body(), TEXT, "404 Not Found"),
        (Body(), EVENTS, "401 Unauthorized"),
        (Body(()), EVENTS, "204 No Content"),
        (Old(), EVENTS, "200 OK"),
        (FileWrapper(io.BytesIO(b"a")), TEXT, "200 OK"),
    ],
    ids=[
        "list",
        "tuple",
        "whole-events",
        "length",
        "lines-of-a-file",
        "error-page",
        "refused-stream",
        "no-content",
        "no-iter",
        "file",
    ],
)
def test_what_is_no_stream_passes_untouched(body: Any, headers: Any, status: str) -> None:
    """The server gets the very objects that the app gave, and nothing is counted."""
    told = Told()
    opened = stats().opened
    environ = {"REQUEST_METHOD": "GET", "HTTP_ACCEPT_ENCODING": "gzip", "wsgi.file_wrapper": FileWrapper}
    returned = StreamingMiddleware(app_of(body, headers, status))(environ, told)
    assert returned is body
    assert told.calls[0][0] is status
    assert told.calls[0][1] is headers
    assert len(told.calls[0]) == 2
    assert environ["HTTP_ACCEPT_ENCODING"] == "gzip"
    assert stats().opened == opened


@pytest.mark.parametrize("give_up", [False, True], ids=["read", "left"])
def test_late_app_that_does_not_stream_passes(give_up: bool) -> None:
    """A generator that says a length keeps its headers, and is closed once."""
    closed: list[int] = []
    call = Call(StreamingMiddleware(late_app_of([b"a", b"b"], SIZED, lambda: closed.append(1))))
    assert call.take() == b"a"
    assert call.headers == dict(SIZED)
    if not give_up:
        assert call.take() == b"b"
        assert call.take() == b""
    call.close()
    assert closed == [1]


def test_late_app_without_a_body_sends_its_head() -> None:
    """A redirect, say."""
    call = Call(StreamingMiddleware(late_app_of([], TEXT)))
    assert call.read() == b""
    assert (call.status, call.headers) == (200, dict(TEXT))


def test_late_app_that_is_never_started_is_closed() -> None:
    """A server may close without iterating."""
    body = Body()
    Call(StreamingMiddleware(lambda _environ, _start: body)).close()
    assert (body.iterated, body.closed) == (0, 1)


def test_app_that_writes_passes_untouched() -> None:
    """write() works before and beside the body; the middleware keeps out of it."""

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        write = start_response("200 OK", EVENTS)
        write(A)
        return iter([b": rest\n\n"])

    with WSGIHost(StreamingMiddleware(app)) as host, host.open("/") as stream:
        assert stream.read_to_end() == A + b": rest\n\n"
        assert stream.clean
        assert stream.head().get("cache-control") is None


def test_late_app_that_writes_passes_untouched() -> None:
    """Also when it is a generator."""

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", EVENTS)(A)
        yield b": rest\n\n"

    with WSGIHost(StreamingMiddleware(app)) as host, host.open("/") as stream:
        assert stream.read_to_end() == A + b": rest\n\n"
        assert stream.head().get("cache-control") is None


def test_error_before_the_body_takes_the_first_head_back() -> None:
    """start_response may be called again with exc_info: the server hears the last."""

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", EVENTS)
        try:
            raise ValueError("no")
        except ValueError:
            start_response("500 Oops", TEXT, sys.exc_info())
        return [b"sorry"]

    told = Told()
    assert StreamingMiddleware(app)({"REQUEST_METHOD": "GET"}, told) == [b"sorry"]
    assert [said[:2] for said in told.calls] == [("500 Oops", TEXT)]
    assert told.calls[0][2][0] is ValueError


def test_error_after_the_first_item_reaches_the_server_with_its_exc_info() -> None:
    """Which raises it, since the head has left."""

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", EVENTS)

        def body() -> Iterator[bytes]:
            yield A
            try:
                raise ValueError("no")
            except ValueError:
                start_response("500 Oops", TEXT, sys.exc_info())

        return body()

    def raising(_status: str, _headers: Any, exc_info: Any = None) -> Any:
        if exc_info is not None:
            raise exc_info[1]

    body = iter(StreamingMiddleware(app)({"REQUEST_METHOD": "GET"}, raising))
    assert [next(body), next(body)] == [b"", A]
    with pytest.raises(ValueError, match="no"):
        next(body)


def test_second_start_response_is_the_server_s_to_refuse() -> None:
    """Without exc_info it is a fault of the app."""

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", TEXT)
        start_response("200 OK", TEXT)
        return [b"a"]

    with WSGIHost(StreamingMiddleware(app)) as host, host.open("/") as stream:
        stream.read_to_end()
        assert isinstance(stream.error, AssertionError)


@pytest.mark.parametrize("items", [[A], []], ids=["items", "none"])
def test_app_that_never_calls_start_response_fails_and_does_not_hang(items: list[bytes]) -> None:
    """Its body reaches the server without a head, and the server says so."""
    told = Told()
    returned = StreamingMiddleware(lambda _environ, _start: iter(items))({}, told)
    assert list(returned) == items
    assert told.calls == []


def test_error_of_the_app_reaches_the_server_before_any_head() -> None:
    """So that it can answer 500."""

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", EVENTS)
        raise KeyError("view")

    told = Told()
    with pytest.raises(KeyError, match="view"):
        StreamingMiddleware(app)({}, told)
    assert told.calls == []


def test_error_of_a_late_app_reaches_the_server_before_any_head() -> None:
    """The app is closed once all the same."""

    def failing() -> Iterator[bytes]:
        raise KeyError("view")
        yield b""

    told = Told()
    closed: list[int] = []
    body: Any = StreamingMiddleware(late_app_of(failing(), EVENTS, lambda: closed.append(1)))({}, told)
    with pytest.raises(KeyError, match="view"):
        next(body)
    body.close()
    assert (told.calls, closed) == ([], [1])


@pytest.mark.parametrize(
    "options", [{"policy": 15}, {"limit": 100}, {"on_close": "log"}], ids=["policy", "limit", "on_close"]
)
def test_wrong_options_are_refused_when_the_middleware_is_built(options: dict[str, Any]) -> None:
    """The text names the option."""
    with pytest.raises(TypeError, match=next(iter(options))):
        StreamingMiddleware(app_of([]), **options)


def test_app_that_cannot_be_called_is_refused() -> None:
    """Such as a Flask app's name."""
    wrong: Any = "app"
    with pytest.raises(TypeError, match="app must be a WSGI app"):
        StreamingMiddleware(wrong)
