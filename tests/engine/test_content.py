"""What may be streamed, by which options; everything else fails in the view, with what to write instead."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from streamkit import NDJSON, EncodeError, Event, EventStream, StreamPolicy, TextStream, asgi, wsgi
from tests.engine.drive import WSGIClient, run, stream


def generator() -> Iterator[str]:
    """Yield one item."""
    yield "a"


async def agenerator() -> AsyncIterator[str]:
    """Yield one item."""
    yield "a"


async def coroutine() -> list[str]:
    """Return items, which is no stream."""
    return ["a"]


class Method:
    """Has a generator for a method."""

    def items(self) -> Iterator[str]:
        """Yield one item."""
        yield "a"


WRONG: list[tuple[Any, str]] = [
    ("text", r"content is str.*\[content\]"),
    (b"bytes", "content is bytes"),
    (bytearray(b"x"), "content is bytearray"),
    ({"a": 1}, r"content is a dict.*content\.items\(\)"),
    (generator, r"content is the function generator: call it, as in generator\(\)"),
    (agenerator, "content is the function agenerator"),
    (Method().items, r"content is the function items"),
    (list, "an iterable or an async iterable of items, not <class 'list'>"),
    (None, "not None"),
    (7, "not 7"),
    (object(), "not <object"),
]


@pytest.mark.parametrize(("content", "text"), WRONG, ids=[type(case[0]).__name__ for case in WRONG])
@pytest.mark.parametrize("build", [asgi.EventStreamResponse, wsgi.EventStreamResponse])
def test_content_that_is_surely_a_mistake_is_refused_in_the_view(
    build: Callable[[Any], object], content: Any, text: str
) -> None:
    """The TypeError says what to write instead."""
    with pytest.raises(TypeError, match=text):
        build(content)


def test_forgotten_await_is_refused_and_leaves_no_warning() -> None:
    """A coroutine is closed, so Python does not complain about it again."""
    with pytest.raises(TypeError, match=r"coroutine coroutine\(\): did you forget await\?"):
        asgi.EventStreamResponse(coroutine())  # type: ignore[arg-type]


def test_task_and_future_are_refused_although_they_can_be_iterated() -> None:
    """Asyncio gives them `__iter__` for `yield from`; a stream of them would be a stream of nothing."""

    async def work() -> None:
        task = asyncio.create_task(coroutine())
        with pytest.raises(TypeError, match="did you forget await"):
            asgi.EventStreamResponse(task)
        assert await task == ["a"]

    run(work())


class BothWays:
    """An iterable like Django's QuerySet."""

    def __iter__(self) -> Iterator[str]:
        return iter(["sync"])

    async def __aiter__(self) -> AsyncIterator[str]:
        yield "async"


def test_iterable_both_ways_goes_the_way_of_its_server() -> None:
    """Async under ASGI, sync under WSGI."""
    assert run(stream(BothWays())).body == b"data: async\n\n"
    assert WSGIClient(BothWays()).read() == b"data: sync\n\n"


@pytest.mark.parametrize("content", [["a"], ("a",), iter(["a"]), map(str, "a"), {"a"}, {"a": 1}.keys(), range(1)])
def test_any_iterable_is_streamed(content: Any) -> None:
    """A generator is not needed."""
    assert run(stream(content)).body in (b"data: a\n\n", b"data: 0\n\n")


WRONG_OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"format": "text/event-stream"}, TypeError, "format must be a Format"),
    ({"format": EventStream}, TypeError, "format must be a Format"),
    ({"policy": 15}, TypeError, r"policy must be a StreamPolicy\(keepalive=…"),
    ({"policy": {"keepalive": 5}}, TypeError, "policy must be a StreamPolicy"),
    ({"on_error": "failed"}, TypeError, "on_error must be a function"),
    ({"end": b"done"}, EncodeError, "cannot encode bytes"),
    ({"headers": {"X": "a\nb"}}, ValueError, "must not hold a line break"),
    ({"keepalive": 5}, TypeError, "no option 'keepalive'"),
    ({"format": TextStream(), "policy": StreamPolicy(keepalive=5)}, ValueError, "keepalive=5"),
]


@pytest.mark.parametrize(("options", "error", "text"), WRONG_OPTIONS, ids=[case[2][:20] for case in WRONG_OPTIONS])
@pytest.mark.parametrize("build", [asgi.EventStreamResponse, wsgi.EventStreamResponse])
def test_option_of_the_wrong_kind_is_refused_in_the_view(
    build: Any, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    """The error names the option."""
    with pytest.raises(error, match=text):
        build([], **options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"keepalive": 0}, "keepalive must be seconds above zero, not 0"),
        ({"keepalive": -1}, "keepalive"),
        ({"keepalive": float("nan")}, "keepalive"),
        ({"keepalive": float("inf")}, "keepalive"),
        ({"keepalive": True}, "keepalive"),
        ({"keepalive": "15"}, "keepalive must be seconds above zero, not '15'"),
        ({"cleanup_timeout": 0}, "cleanup_timeout"),
        ({"cleanup_timeout": None}, "cleanup_timeout"),
        ({"retry": -1}, "retry must be an int of at least 0, not -1"),
        ({"retry": 1.5}, "retry"),
        ({"retry": True}, "retry"),
        ({"buffer_size": 0}, "buffer_size must be an int of at least 1, not 0"),
        ({"buffer_size": True}, "buffer_size"),
        ({"send_timeout": 0}, "send_timeout must be seconds above zero, not 0"),
        ({"send_timeout": float("inf")}, "send_timeout"),
        ({"send_timeout": True}, "send_timeout"),
        ({"max_age": -1}, "max_age must be seconds above zero, not -1"),
        ({"max_age": float("nan")}, "max_age"),
        ({"max_age": "600"}, "max_age"),
        ({"grace": 0}, "grace must be seconds above zero, not 0"),
        ({"grace": None}, "grace"),
        ({"drain": "now"}, "drain must be 'auto', 'cut' or 'finish', not 'now'"),
        ({"drain": None}, "drain must be"),
    ],
)
def test_policy_that_makes_no_sense_cannot_be_built(options: dict[str, Any], text: str) -> None:
    """The error names the option and shows the value."""
    with pytest.raises(ValueError, match=text):
        StreamPolicy(**options)


def test_policy_that_waits_for_ever_can_be_asked_for() -> None:
    """None where a limit may be absent; whole numbers of seconds are seconds."""
    policy = StreamPolicy(send_timeout=None, max_age=None, grace=30, drain="finish")
    assert (policy.send_timeout, policy.max_age, policy.grace, policy.drain) == (None, None, 30, "finish")
    assert (StreamPolicy().send_timeout, StreamPolicy().max_age, StreamPolicy().drain) == (30.0, None, "auto")


def test_policy_is_a_value() -> None:
    """Two that say the same are equal, and none can be changed."""
    assert StreamPolicy(retry=5) == StreamPolicy(retry=5)
    with pytest.raises(AttributeError):
        StreamPolicy().retry = 5  # type: ignore[misc]


def test_options_of_a_subclass_are_the_defaults_of_an_app() -> None:
    """A keyword wins over the class, the class over ours."""

    class Chat(wsgi.EventStreamResponse):
        format = EventStream(json=True)
        policy = StreamPolicy(keepalive=None, retry=7)
        end = "end"

    def body(**options: Any) -> bytes:
        return WSGIClient(["a"], kind=Chat, **options).read()

    assert body() == b'retry: 7\ndata: "a"\n\ndata: "end"\n\n'
    assert body(end="fin", policy=StreamPolicy(keepalive=None)) == b'data: "a"\n\ndata: "fin"\n\n'
    assert body(format=EventStream()) == b"retry: 7\ndata: a\n\ndata: end\n\n"


@pytest.mark.parametrize(
    ("accept", "status", "media_type"),
    [
        ("text/event-stream", "200 OK", "text/event-stream"),
        ("application/x-ndjson", "200 OK", "application/x-ndjson"),
        ("application/json-seq;q=0.5, */*;q=0.1", "200 OK", "application/json-seq"),
        ("*/*", "200 OK", "text/event-stream"),
        ("text/html", "406 Not Acceptable", "text/plain; charset=utf-8"),
    ],
)
def test_negotiated_response_speaks_what_the_client_takes(accept: str, status: str, media_type: str) -> None:
    """The answer 406 lists what there is, and closes the source unread."""
    client = WSGIClient(generator(), kind=wsgi.NegotiatedResponse, accept=accept)
    body = client.read()
    assert (client.status, client.headers["Content-Type"], client.headers["Vary"]) == (status, media_type, "Accept")
    assert (b"application/x-ndjson" in body) == (status[:3] == "406")


def test_negotiated_response_checks_its_options_for_every_format() -> None:
    """An option that one of the formats cannot have fails in the view, not for one client in three."""
    with pytest.raises(ValueError, match="keepalive"):
        wsgi.NegotiatedResponse([], formats=(NDJSON(), TextStream()), policy=StreamPolicy(keepalive=5))


def test_each_response_class_sends_its_format() -> None:
    """The five names differ in their format alone."""
    for build, sent in (
        (wsgi.EventStreamResponse, b"id: 1\ndata: a\n\n"),
        (wsgi.NDJSONResponse, b'{"data":"a","id":"1"}\n'),
        (wsgi.JSONSeqResponse, b'\x1e{"data":"a","id":"1"}\n'),
        (wsgi.TextStreamResponse, b"a"),
        (wsgi.NegotiatedResponse, b"id: 1\ndata: a\n\n"),
    ):
        assert WSGIClient([Event("a", id=1)], kind=build).read() == sent
