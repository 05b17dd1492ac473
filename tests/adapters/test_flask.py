"""What only Flask's adapter has to get right: the response is an ordinary one to views and clients."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import flask
import pytest

from streamkit import Event, EventStream, StreamPolicy
from streamkit.flask import (
    EventStreamResponse,
    JSONSeqResponse,
    NDJSONResponse,
    NegotiatedResponse,
    TextStreamResponse,
    last_event_id,
    primed,
)
from tests.adapters.flask_apps import Source, add_x_hook, app_with
from tests.adapters.wsgi_calls import Call

DONE = Event("", event="done")


async def letters() -> AsyncIterator[str]:
    """Yield two letters."""
    yield "a"
    yield "b"


@pytest.mark.parametrize(
    ("response", "media_type"),
    [
        (EventStreamResponse, "text/event-stream"),
        (NDJSONResponse, "application/x-ndjson"),
        (JSONSeqResponse, "application/json-seq"),
        (TextStreamResponse, "text/plain; charset=utf-8"),
    ],
)
def test_content_type_is_that_of_the_format(response: type[EventStreamResponse], media_type: str) -> None:
    """Flask's own default type and the charset that it adds to text stay away, already when the response is built."""
    built = response(["x"])
    assert built.headers["Content-Type"] == media_type
    assert built.headers["Cache-Control"] == "no-cache, no-transform"
    assert built.headers["X-Accel-Buffering"] == "no"
    assert Call(built).headers["Content-Type"] == media_type


def test_headers_that_frame_the_body_stay_with_the_server() -> None:
    """A Content-Length or Connection, from wherever it comes, would break the response on its way."""
    app = app_with(
        lambda: (EventStreamResponse(Source(), headers={"Connection": "close"}), {"Connection": "keep-alive"})
    )

    @app.after_request
    def hook(response: flask.Response) -> flask.Response:
        response.headers["Content-Length"] = "7"
        return response

    assert not {"Connection", "Content-Length"} & Call(app).headers.keys()


def test_line_break_in_a_header_is_refused_in_the_view() -> None:
    """It would forge a header."""
    with pytest.raises(ValueError, match="newline"):
        EventStreamResponse(Source(), headers={"X-A": "1\r\nX-B: 2"})


def test_head_is_answered_without_the_source() -> None:
    """The source is closed and was never asked for an item."""
    source = Source()
    call = Call(app_with(lambda: EventStreamResponse(source)), method="HEAD")
    assert (call.status, call.headers["Content-Type"]) == (200, "text/event-stream")
    assert (source.pulled, source.closed) == (0, 1)
    assert call.read() == b""
    assert source.closed == 1


@pytest.mark.parametrize(
    ("accept", "media_type"), [("application/x-ndjson", "application/x-ndjson"), ("*/*", "text/event-stream")]
)
def test_accept_chooses_the_format_when_the_response_is_built(accept: str, media_type: str) -> None:
    """Hooks see the Content-Type that the client is going to get."""
    seen: list[str | None] = []
    app = app_with(lambda: NegotiatedResponse(Source()))

    @app.after_request
    def hook(response: flask.Response) -> flask.Response:
        seen.append(response.content_type)
        return response

    call = Call(app, headers={"Accept": accept})
    assert seen == [media_type] == [call.headers["Content-Type"]]
    assert call.headers["Vary"] == "Accept"


def test_accept_chooses_the_format_of_a_response_built_outside_of_a_request() -> None:
    """The server's request decides."""
    call = Call(NegotiatedResponse(Source()), headers={"Accept": "application/x-ndjson"})
    assert call.headers["Content-Type"] == "application/x-ndjson"
    assert call.read() == b"1\n2\n3\n"


def test_format_is_chosen_by_the_request_that_is_given() -> None:
    """As in the other adapters, `request=` names it."""
    app = app_with(lambda: "")
    with app.test_request_context(headers={"Accept": "application/json-seq"}):
        request = flask.request._get_current_object()  # type: ignore[attr-defined]
    assert NegotiatedResponse(Source(), request=request).content_type == "application/json-seq"


@pytest.mark.parametrize("built_early", [False, True])
def test_nothing_acceptable_is_406_with_the_list(built_early: bool) -> None:
    """Also where the view wanted another status; hooks may still add their headers; the source is closed."""
    source = Source()
    early = NegotiatedResponse(source)
    app = app_with(lambda: (early if built_early else NegotiatedResponse(source), 201))
    app.after_request(add_x_hook)
    call = Call(app, headers={"Accept": "image/png"})
    assert (call.status, call.headers["X-Hook"], call.headers["Vary"]) == (406, "1", "Accept")
    assert call.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert b"application/x-ndjson" in call.read()
    assert (source.pulled, source.closed) == (0, 1)


def test_last_event_id_comes_from_header_or_query() -> None:
    """The header wins; its UTF-8 survives the WSGI environ."""
    app = app_with(lambda: flask.jsonify(last_event_id(flask.request)))
    client = app.test_client()
    assert client.get("/").json is None
    assert client.get("/?last_event_id=7").json == "7"
    assert client.get("/?last_event_id=7", headers={"Last-Event-ID": "é".encode().decode("latin-1")}).json == "é"


def test_class_attributes_are_the_defaults_of_an_app() -> None:
    """A keyword wins over them, for the views of a blueprint as for any other."""

    class Chat(EventStreamResponse):
        format = EventStream(json=True)
        end = DONE
        default_status = 201

    views = flask.Blueprint("chat", "chat", url_prefix="/chat")
    views.add_url_rule("/a", view_func=lambda: Chat(["x"]), endpoint="a")
    views.add_url_rule("/b", view_func=lambda: Chat(["x"], end=Event("", event="over")), endpoint="b")
    app = flask.Flask("shop")
    app.register_blueprint(views)
    first = app.test_client().get("/chat/a")
    assert (first.status_code, first.data) == (201, b':\ndata: "x"\n\nevent: done\ndata: ""\n\n')
    assert app.test_client().get("/chat/b").data == b':\ndata: "x"\n\nevent: over\ndata: ""\n\n'


def test_unusable_content_fails_in_the_view() -> None:
    """The error speaks of what the view gave, and of options that do not exist."""
    with pytest.raises(TypeError, match="function letters"):
        EventStreamResponse(letters)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="mimetype"):
        EventStreamResponse(Source(), mimetype="text/plain")  # type: ignore[call-arg]


def test_failing_source_fails_the_server(caplog: pytest.LogCaptureFixture) -> None:
    """The server gets the exception itself, logs it and cuts the connection."""

    def failing() -> Iterator[str]:
        yield "one"
        raise LookupError("gone")

    call = Call(app_with(lambda: EventStreamResponse(failing(), policy=StreamPolicy(keepalive=None))))
    assert call.take() == b"data: one\n\n"
    with pytest.raises(LookupError, match="gone"):
        call.read()
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


@pytest.mark.parametrize("is_async", [False, True])
def test_primed_source_that_fails_at_once_is_an_error_response(is_async: bool) -> None:
    """A 403 stays a 403, in a sync view and in an async one."""

    async def forbidden() -> AsyncIterator[str]:
        flask.abort(403)
        yield ""

    async def awaiting() -> Any:
        return EventStreamResponse(await primed(forbidden()))

    app = app_with(awaiting if is_async else lambda: EventStreamResponse(primed(forbidden())))
    assert Call(app, threads=True).status == 403


def test_primed_source_of_an_async_view_outlives_its_loop() -> None:
    """The event loop that Flask runs an async view on ends with the view, and the stream goes on."""

    async def view() -> Any:
        return NDJSONResponse(await primed(letters()), end="c")

    assert Call(app_with(view)).read() == b'"a"\n"b"\n"c"\n'


def test_primed_that_was_not_awaited_is_refused() -> None:
    """The error asks whether the await was forgotten."""

    async def view() -> Any:
        with pytest.raises(TypeError, match="did you forget await"):
            EventStreamResponse(primed(letters()))
        return "refused"

    assert Call(app_with(view)).read() == b"refused"
