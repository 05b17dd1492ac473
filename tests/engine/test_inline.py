"""A sync source in the server's own thread: one item at a time, in its own Context, for as long as anybody reads."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import flask
import pytest

from streamkit import Event, EventStream, StreamPolicy
from streamkit._engine import inline
from streamkit.flask import EventStreamResponse as FlaskEventStream
from tests.adapters.wsgi_calls import Call
from tests.engine.drive import WSGIClient

USER: ContextVar[str] = ContextVar("user", default="nobody")
WHOLE = b":\ndata: a\n\ndata: b\n\n"


class Letters:
    """A source that takes note of what it was asked for, whether it is closed, and for whom it ran."""

    def __init__(self) -> None:
        self.pulled = 0
        self.closed: list[str] = []

    def __iter__(self) -> Iterator[str]:
        USER.set("source")
        for letter in "ab":
            self.pulled += 1
            yield letter

    def close(self) -> None:
        """Take note."""
        self.closed.append(USER.get())


def by_wsgi(source: Iterable[object]) -> Iterable[bytes]:
    """Return the body as streamkit's own WSGI response gives it."""
    body: Iterable[bytes] = WSGIClient(source, threads=False).body
    return body


def by_flask(source: Iterable[object]) -> Iterable[bytes]:
    """Return the body as Flask's response gives it."""
    app = flask.Flask(__name__)
    app.add_url_rule("/", view_func=lambda: FlaskEventStream(source))
    return Call(app).body


both = pytest.mark.parametrize("answer", [by_wsgi, by_flask])
Answer = Callable[[Iterable[object]], Iterable[bytes]]


@both
def test_item_leaves_before_the_next_is_asked_for(answer: Answer) -> None:
    """However quick a source was, nobody can tell whether it blocks next; and the server stays in its own Context."""
    source = Letters()
    body = answer(source)
    seen = [(source.pulled, USER.get()) for _ in body]
    assert seen == [(0, "nobody"), (1, "nobody"), (2, "nobody")]
    body.close()  # type: ignore[attr-defined]
    assert source.closed == ["source"]


@both
def test_reader_that_keeps_the_iterator_alone_gets_the_whole(answer: Answer) -> None:
    """What `for chunk in app(environ, start_response)` does in many a middleware, which then forgets to close."""
    source = Letters()
    items = iter(answer(source))
    gc.collect()
    assert b"".join(items) == WHOLE
    assert source.closed == ["source"]


def test_iterator_that_nobody_keeps_closes_the_source() -> None:
    """Some servers forget to close, when the client has left in the wrong moment."""
    source = Letters()
    items = iter(by_wsgi(source))
    assert [next(items), next(items)] == [b":\n", b"data: a\n\n"]
    del items
    gc.collect()
    assert (source.pulled, source.closed) == (1, ["source"])


@both
def test_body_may_be_read_by_next_and_by_for(answer: Answer) -> None:
    """A host that looks at the first bytes by `next` reads the rest by `for`."""
    body = answer(Letters())
    first = next(iter(body))
    assert first + b"".join(body) == WHOLE


@pytest.mark.parametrize("read", [0, 2, 3])
def test_body_is_closed_as_often_as_a_host_likes(read: int) -> None:
    """Unread, half read or at its end: the source is closed once."""
    source = Letters()
    body: Any = by_wsgi(source)
    for _ in range(read):
        next(body)
    body.close()
    body.close()
    assert len(source.closed) == 1


@pytest.mark.parametrize(("accept", "browser"), [("*/*", False), ("text/event-stream", True)])
def test_figures_are_right_at_every_item(accept: str, browser: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """How much the server took, the longest that it took for one, and whether a browser has an id to come back with."""
    begun_and_back = iter([0.0, 2.0, 10.0, 11.0, 20.0, 23.0, 30.0, 30.0])
    monkeypatch.setattr(inline, "perf_counter", lambda: next(begun_and_back))
    source = ["a", Event("b", id="1"), "c", "d"]
    body: Any = WSGIClient(source, threads=False, accept=accept, policy=StreamPolicy(keepalive=None)).body
    life = body._stream.life
    seen = [(life.frames, life.bytes, life.slowest_flush, life.lacks_id) for _ in body]
    assert seen == [
        (0, 0, 0.0, browser),  # the head
        (1, 0, 0.0, browser),
        (2, 9, 2.0, browser),
        (3, 24, 2.0, False),
        (4, 33, 3.0, False),
    ]
    assert (life.bytes, life.slowest_flush) == (42, 3.0)
    body.close()


class Exhausted(EventStream):
    """A format that takes from something which has no more."""

    def encode(self, item: object) -> bytes:
        """Raise StopIteration, which a loop would take for the end of its source."""
        return next(iter([b""][:0]))


def test_format_that_runs_out_is_an_error_and_no_end() -> None:
    """A stream that has failed must not look like one that has ended."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        WSGIClient(Letters(), threads=False, format=Exhausted()).read()
