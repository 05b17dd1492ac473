"""What is read of each kind of answer, and what is refused."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from streamkit import DecodeError, Event, EventTooLargeError
from tests.client.reading import Kind, read
from tests.client.scripted import Answer, ScriptedServer
from tests.engine.interpreter import python

both = pytest.mark.parametrize("kind", ["async", "sync"])


@both
@pytest.mark.parametrize(
    ("status", "type_", "says"),
    [
        (401, "application/json", "answered 401 with application/json, which is no stream: {"),
        (503, "text/event-stream", "answered 503 with text/event-stream"),
        (201, "text/event-stream", "answered 201"),
        (200, "Text/HTML; charset=utf-8", "answered 200 with text/html"),
        (200, "", "answered 200 with a body without a type"),
    ],
)
def test_what_is_no_stream_is_refused(kind: Kind, status: int, type_: str, says: str) -> None:
    """The error carries what was answered, and there is no second attempt."""
    body = b'{"detail": "who\x1bare you?"}'
    with ScriptedServer(Answer(body, status=status, kind=type_, fields=(("Retry-After", "7"),))) as server:
        error: Any = read(kind, server.url).error
    assert type(error).__name__ == "NotAStreamError"
    assert (error.status, error.url, error.body, error.headers["retry-after"]) == (status, server.url, body, "7")
    assert says in str(error)
    assert "\x1b" not in str(error)
    assert len(server.asked) == 1


def test_answer_that_is_no_stream_can_be_pickled() -> None:
    """As a task queue does with what its task has raised."""
    refused = Answer(b"later", kind="text/plain", status=503, fields=(("Retry-After", "7"),))
    with ScriptedServer(refused) as server:
        error = read("sync", server.url).error
    again: Any = pickle.loads(pickle.dumps(error))
    assert (str(again), again.args, again.status) == (str(error), (server.url, 503), 503)
    assert (again.body, again.headers["retry-after"]) == (b"later", "7")


@both
def test_body_of_what_is_no_stream_is_bounded(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes, and in time where it does not end."""
    from streamkit.client import _reader

    with ScriptedServer(Answer(b"x" * 100_000, "hold", "text/html")) as server:
        error: Any = read(kind, server.url, idle_timeout=None).error
    assert error.body == b"x" * 8192
    monkeypatch.setattr(_reader, "BODY_SECONDS", 0.2)
    with ScriptedServer(Answer(b"short", "hold", "text/html")) as server:
        error = read(kind, server.url, idle_timeout=None).error
        assert server.left.wait(10)
    assert error.body == b"short"


@both
@pytest.mark.parametrize("type_", ["application/x-ndjson", "application/jsonl", "Application/NDJSON; charset=utf-8"])
def test_lines_of_json_are_values_and_their_end_is_the_end(kind: Kind, type_: str) -> None:
    """A last line without its end counts; nothing is asked for again."""
    with ScriptedServer(Answer(b'{"n":1}\n\n[2]\n"three"', kind=type_)) as server:
        reading = read(kind, server.url)
    assert (reading.items, reading.error, len(server.asked)) == ([{"n": 1}, [2], "three"], None, 1)


@both
def test_json_sequence_is_read(kind: Kind) -> None:
    """Records are values."""
    with ScriptedServer(Answer(b'\x1e{"n":1}\n\x1e2\n', kind="application/json-seq")) as server:
        assert read(kind, server.url).items == [{"n": 1}, 2]


@both
def test_lines_that_break_off_raise(kind: Kind) -> None:
    """A cut is never taken for the end: what came whole is handed out first, the half line is not."""
    with ScriptedServer(Answer(b'{"n":1}\n{"n":', "cut", "application/x-ndjson")) as server:
        reading = read(kind, server.url)
    assert (reading.items, len(server.asked)) == ([{"n": 1}], 1)
    assert type(reading.error).__name__ == "RemoteProtocolError"


@both
def test_line_that_is_no_json_raises(kind: Kind) -> None:
    """The error says which; the lines before it were handed out."""
    with ScriptedServer(Answer(b"1\nNaN\n", kind="application/x-ndjson")) as server:
        reading = read(kind, server.url)
    assert reading.items == [1]
    assert isinstance(reading.error, DecodeError)
    assert "line 2" in str(reading.error)


@both
def test_event_over_the_limit_raises(kind: Kind) -> None:
    """Memory is bounded, whatever a server sends, and such a stream is not asked for again."""
    with ScriptedServer(Answer(b"data: 1\n\ndata: " + b"x" * 2000 + b"\n\n")) as server:
        reading = read(kind, server.url, max_event_size=1000)
    assert (reading.data, len(server.asked)) == (["1"], 1)
    assert isinstance(reading.error, EventTooLargeError)


@both
def test_mark_line_ends_and_comments_are_read_as_a_browser_does(kind: Kind) -> None:
    """A byte order mark, CR, CRLF, a keepalive, several lines of data, a gap: all by the standard."""
    body = b"\xef\xbb\xbfdata: 1\r\r:\r\ndata: 2\r\ndata:2\r\n\r\nevent: gap\ndata: {}\n\nevent: none\n\n"
    with ScriptedServer(Answer(body)) as server:
        reading = read(kind, server.url)
    assert reading.items == [Event("1"), Event("2\n2"), Event("{}", event="gap")]


@both
def test_redirects_are_followed_each_time(kind: Kind) -> None:
    """The position comes along; the next connection begins at the address that was given."""
    there = Answer(status=307, kind="text/plain", fields=(("Location", "/there"),))
    with ScriptedServer(there, Answer(b"data: 1\nid: 1\n\n"), there) as server:
        reading = read(kind, server.url)
    assert [asked.target for asked in server.asked] == ["/stream", "/there", "/stream", "/there"]
    assert server.positions == [None, None, "1", "1"]
    assert reading.data == ["1"]


@both
def test_redirect_to_itself_ends_it(kind: Kind) -> None:
    """It is the same each time, so it is not tried again."""
    circle = Answer(status=302, kind="text/plain", fields=(("Location", "/stream"),))
    with ScriptedServer(*[circle] * 30) as server:
        assert type(read(kind, server.url).error).__name__ == "TooManyRedirects"


@both
def test_request_is_made_of_what_is_given(kind: Kind) -> None:
    """Headers, parameters and credentials go along each time; the rest is what a browser sends."""
    with ScriptedServer(Answer(b"data: 1\n\n")) as server:
        read(kind, server.url, headers={"X-Tenant": "7"}, params={"q": "ab"}, auth=("ann", "secret"))
    assert [asked.target for asked in server.asked] == ["/stream?q=ab"] * 2
    for asked in server.asked:
        assert asked.headers["x-tenant"] == "7"
        assert asked.headers["authorization"].startswith("Basic ")
        assert asked.headers["accept"].startswith("text/event-stream, application/x-ndjson")
        assert asked.headers["cache-control"] == "no-cache"
        assert asked.headers["accept-encoding"] == "identity"


@both
def test_own_accept_headers_win(kind: Kind) -> None:
    """Which of several types is wanted, and what may compress it, is the caller's to say."""
    given = {"Accept": "application/x-ndjson", "Accept-Encoding": "gzip", "Cache-Control": "no-store"}
    with ScriptedServer(Answer(b"1\n", kind="application/x-ndjson")) as server:
        assert read(kind, server.url, headers=given).items == [1]
    assert {name: server.asked[0].headers[name.lower()] for name in given} == given


def test_missing_httpx_is_said_with_its_cure() -> None:
    """The import error names the extra."""
    code = """
    import sys
    sys.modules["httpx"] = None
    try:
        import streamkit.client
    except ImportError as exc:
        print(exc)
    """
    assert python(code, prelude="")[0] == 'the client needs httpx: pip install "streamkit-http[client]"\n'
