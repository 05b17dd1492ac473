"""The response of `streamkit.django` as Django's own; what it shares with the other adapters is in tests/contract."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("django")

from django.test import RequestFactory

from streamkit import StreamPolicy
from streamkit.django import (
    EventStreamResponse,
    JSONSeqResponse,
    NDJSONResponse,
    NegotiatedResponse,
    TextStreamResponse,
    last_event_id,
)
from tests.adapters.django_project import (
    Fed,
    Interface,
    Kind,
    by_interface,
    by_source,
    request_of,
    serving,
)


def numbers() -> Iterator[int]:
    """Yield 1 and 2."""
    yield from (1, 2)


@pytest.mark.parametrize(
    ("response", "media_type", "body"),
    [
        (EventStreamResponse, "text/event-stream", b"data: 1\n\ndata: 2\n\n"),
        (NDJSONResponse, "application/x-ndjson", b"1\n2\n"),
        (JSONSeqResponse, "application/json-seq", b"\x1e1\n\x1e2\n"),
        (TextStreamResponse, "text/plain; charset=utf-8", b"12"),
    ],
)
def test_each_format_has_its_own_content_type(response: Any, media_type: str, body: bytes) -> None:
    """The content type is the format's, whatever DEFAULT_CHARSET says, and getvalue() reads a finite stream."""
    made = response(numbers(), policy=StreamPolicy(keepalive=None))
    assert made["Content-Type"] == media_type
    assert made.getvalue() == body
    made.close()


def test_status_reason_headers_and_cookies_are_django_s() -> None:
    """What a view may say of a StreamingHttpResponse it may say of a stream."""
    response = EventStreamResponse(numbers(), 201, {"X-Ours": "1", "Connection": "keep-alive"}, reason="Made")
    response.set_cookie("seen", "yes")
    response["X-Late"] = "2"
    response["Transfer-Encoding"] = "chunked"
    assert (response.status_code, response.reason_phrase) == (201, "Made")
    assert response.cookies["seen"].value == "yes"
    assert dict(response.items()) == {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-cache, no-transform",
        "X-Accel-Buffering": "no",
        "X-Ours": "1",
        "X-Late": "2",
    }
    response.close()


@pytest.mark.parametrize("name", ["Set-Cookie", "link"])
def test_header_that_django_would_drop_is_refused(name: str) -> None:
    """It keeps one of a name, so the first of two cookies would be lost without a word."""
    with pytest.raises(ValueError, match=f"(?i)one header of a name.*{name}.*set_cookie"):
        EventStreamResponse(numbers(), headers=[(name, "a=1"), (name.title(), "b=2")])


def test_forgotten_await_fails_in_the_view() -> None:
    """A coroutine for content is a TypeError where it was passed."""

    async def rows() -> list[int]:
        return [1]

    with pytest.raises(TypeError, match="did you forget await"):
        EventStreamResponse(rows())  # type: ignore[arg-type]


def test_last_event_id_comes_from_the_header_or_the_query() -> None:
    """The header wins over the query parameter, and UTF-8 survives a WSGI environ."""
    factory = RequestFactory()
    assert last_event_id(factory.get("/")) is None
    assert last_event_id(factory.get("/?last_event_id=q")) == "q"
    given = factory.get("/?last_event_id=q", HTTP_LAST_EVENT_ID="é".encode().decode("latin-1"))
    assert last_event_id(given) == "é"
    assert last_event_id(request_of("asgi", last_event_id="a")) == "a"


@by_interface
@by_source
def test_head_request_starts_no_source(interface: Interface, source: Kind) -> None:
    """HEAD is answered by the headers of the stream."""
    fed = Fed()

    def respond(request: Any) -> Any:
        return EventStreamResponse(fed.source(source), request=request)

    with serving(interface, respond) as host, host.open("/", method="HEAD") as stream:
        assert stream.read_to_end() == b""
        assert stream.head().get("content-type") == "text/event-stream"
    assert not fed.started.is_set()


def test_negotiation_needs_the_request() -> None:
    """Without its request a negotiated response says so in the view."""
    with pytest.raises(TypeError, match="request=request"):
        NegotiatedResponse(numbers())


@by_interface
def test_accept_header_chooses_the_format(interface: Interface) -> None:
    """The format follows Accept, and caches are told."""
    response = NegotiatedResponse(numbers(), request=request_of(interface, accept="application/x-ndjson"))
    assert (response["Content-Type"], response["Vary"]) == ("application/x-ndjson", "Accept")
    assert b"".join(response) == b"1\n2\n"
    response.close()


@by_interface
def test_unacceptable_format_is_406(interface: Interface) -> None:
    """A client that takes no format on offer is told which there are."""
    with serving(interface, lambda request: NegotiatedResponse(numbers(), request=request)) as host:
        stream = host.open("/", headers={"Accept": "image/png"})
        assert b"text/event-stream" in stream.read_to_end()
        assert stream.head().status == 406


@by_interface
@pytest.mark.parametrize(("accept", "status"), [("text/event-stream", 200), ("*/*", 503)])
def test_full_thread_cap_refuses_at_once(
    interface: Interface, accept: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no thread left a browser's EventSource is told when to come back, anyone else gets 503."""
    monkeypatch.setattr("streamkit._engine.limit.CAP.total", 0)
    with serving(interface, lambda request: EventStreamResponse(numbers(), request=request)) as host:
        stream = host.open("/", headers={"Accept": accept})
        body = stream.read_to_end()
        assert stream.head().status == status
        assert body.startswith(b"retry: ") is (status == 200)


@pytest.mark.parametrize(("accept", "clean"), [("text/event-stream", True), ("*/*", False)])
def test_last_thread_lost_after_the_head_ends_the_stream(
    accept: str, clean: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser still learns when to come back; any other client sees no stream that looks complete."""

    def view(request: Any) -> Any:
        response = EventStreamResponse(numbers(), request=request)
        monkeypatch.setattr("streamkit._engine.limit.CAP.total", 0)
        return response

    with serving("wsgi", view) as host:
        stream = host.open("/", headers={"Accept": accept})
        body = stream.read_to_end()
        assert stream.clean is clean
        assert body.startswith(b"retry: ") is clean


def test_full_thread_cap_without_request_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of a client whose request was not given, so it gets the answer that all understand."""
    monkeypatch.setattr("streamkit._engine.limit.CAP.total", 0)

    async def view(_: Any) -> Any:
        return EventStreamResponse(numbers())

    with serving("asgi", view) as host, host.open("/", headers={"Accept": "text/event-stream"}) as stream:
        stream.read_to_end()
        assert stream.head().status == 503
