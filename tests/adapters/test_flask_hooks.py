"""What hooks, extensions and servers do to a Flask response does not cost a stream its promises."""

from __future__ import annotations

from typing import Any

import flask
import pytest
from flask_compress import Compress

from streamkit import Event, StreamPolicy
from streamkit._engine.limit import CAP
from streamkit.flask import EventStreamResponse, NDJSONResponse
from tests.adapters.flask_apps import Source, add_x_hook, app_with
from tests.adapters.wsgi_calls import Call

DONE = Event("", event="done")


def test_what_view_and_hooks_set_reaches_the_client() -> None:
    """Status, headers and cookies hold, whether the view, its tuple or an after_request hook set them."""

    def view() -> Any:
        response = EventStreamResponse(Source(), 202, {"X-View": "1", "Cache-Control": "no-store"})
        response.set_cookie("seen", "yes")
        return response, {"X-Tuple": "2"}

    app = app_with(view)

    @app.after_request
    def hook(response: flask.Response) -> flask.Response:
        response.headers["X-Hook"] = "3"
        response.status_code = 203
        return response

    answer = app.test_client().get("/")
    assert answer.status_code == 203
    assert [answer.headers[name] for name in ("X-View", "X-Tuple", "X-Hook")] == ["1", "2", "3"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Set-Cookie"] == "seen=yes; Path=/"
    assert answer.data == b":\ndata: 1\n\ndata: 2\n\ndata: 3\n\n"


def test_status_without_a_body_closes_the_source() -> None:
    """A 304 that a hook makes of the response has no body."""
    source = Source()
    app = app_with(lambda: EventStreamResponse(source, headers={"ETag": '"1"'}))
    app.after_request(lambda response: response.make_conditional(flask.request))
    call = Call(app, headers={"If-None-Match": '"1"'})
    assert (call.status, call.read()) == (304, b"")
    assert (source.pulled, source.closed) == (0, 1)


def test_hooks_cannot_read_a_stream_by_accident() -> None:
    """`get_data`, `freeze`, `add_etag` and `make_conditional` pull nothing; what cannot work without says so."""
    source = Source()
    response = EventStreamResponse(source)
    assert (response.is_streamed, response.is_sequence, response.direct_passthrough) == (True, False, False)
    assert response.calculate_content_length() is None
    response.add_etag()
    assert response.get_etag() == (None, None)
    with pytest.raises(RuntimeError):
        response.get_data()
    with pytest.raises(RuntimeError, match="is_streamed"):
        response.freeze()
    with pytest.raises(RuntimeError, match="no request"):
        response.make_sequence()
    assert source.pulled == 0


def test_body_put_in_the_place_of_the_stream_is_sent() -> None:
    """The werkzeug object is the truth when the server is answered; the source is closed."""
    source = Source()
    app = app_with(lambda: EventStreamResponse(source))

    @app.after_request
    def hook(response: flask.Response) -> flask.Response:
        response.data = b"closed for today"
        return response

    call = Call(app)
    assert (call.headers["Content-Length"], call.read()) == ("16", b"closed for today")
    assert (source.pulled, source.closed) == (0, 1)


def test_body_that_a_hook_wraps_still_streams() -> None:
    """Each item passes through the hook's generator before the next is pulled, and the source is closed with it."""
    source = Source()
    app = app_with(lambda: NDJSONResponse(source))

    @app.after_request
    def hook(response: flask.Response) -> flask.Response:
        response.response = (b"<" + data + b">" for data in response.iter_encoded() if data)
        return response

    call = Call(app)
    assert (call.take(), source.pulled) == (b"<1\n>", 1)
    call.close()
    assert source.closed == 1


def test_app_with_a_response_class_of_its_own_streams() -> None:
    """Flask turns each response into that class, which knows nothing of streams."""

    class Ours(flask.Response):
        pass

    source = Source()
    app = app_with(lambda: EventStreamResponse(source, end=DONE))
    app.response_class = Ours
    call = Call(app)
    assert call.read() == b":\ndata: 1\n\ndata: 2\n\ndata: 3\n\nevent: done\ndata: \n\n"
    assert source.closed == 1


@pytest.mark.parametrize("threads", [False, True])
def test_server_that_leaves_closes_source_and_callbacks(threads: bool) -> None:
    """Nobody but the server calls close(): the source goes first, then what call_on_close was given, once."""
    source, closed = Source(), []

    def view() -> Any:
        response = EventStreamResponse(source)
        response.call_on_close(lambda: closed.append(source.closed))
        return response

    call = Call(app_with(view), threads=threads)
    call.take()
    call.close()
    assert closed == [1]


def test_stream_over_the_limit_is_refused_before_its_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser is told when to come back, another client gets 503; a hook's headers stay."""
    monkeypatch.setattr(CAP, "total", 0)
    source = Source()
    app = app_with(lambda: EventStreamResponse(source))
    app.after_request(add_x_hook)
    browser = Call(app, threads=True, headers={"Accept": "text/event-stream"})
    assert (browser.status, browser.headers["X-Hook"]) == (200, "1")
    assert browser.read().startswith(b"retry: ")
    other = Call(app, threads=True)
    assert other.status == 503
    assert int(other.headers["Retry-After"]) >= 2
    assert (Call(app, threads=True, method="HEAD").status, source.pulled) == (200, 0)


def test_last_thread_lost_after_the_head_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser still learns when to come back; any other client sees no stream that looks complete."""
    app = app_with(lambda: EventStreamResponse(Source()))
    browser, other = Call(app, threads=True, headers={"Accept": "text/event-stream"}), Call(app, threads=True)
    monkeypatch.setattr(CAP, "total", 0)
    assert browser.read().startswith(b"retry: ")
    with pytest.raises(RuntimeError, match="limit of 0"):
        other.read()


def test_compression_holds_no_item_back() -> None:
    """Flask-Compress would wait for a block of data; each item passes it before the next is pulled, unchanged."""
    source = Source()
    app = app_with(lambda: EventStreamResponse(source, policy=StreamPolicy(keepalive=None)))
    app.config["COMPRESS_MIMETYPES"] = ["text/event-stream"]
    Compress(app)
    call = Call(app, headers={"Accept-Encoding": "gzip, br, zstd"})
    assert "Content-Encoding" not in call.headers
    for number in range(1, 4):
        assert call.take() == b"data: %d\n\n" % number
        assert source.pulled == number


def test_content_encoding_of_the_view_is_sent() -> None:
    """Only what streamkit itself put there against compressors is taken away again."""
    call = Call(EventStreamResponse(Source(), headers={"Content-Encoding": "identity"}))
    assert call.headers["Content-Encoding"] == "identity"
