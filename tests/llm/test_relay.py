"""A relay sends on what upstream sends, in the view's words, and says where upstream has failed."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from streamkit import Event, EventDecoder, EventStream
from streamkit.asgi import primed
from streamkit.errors import EncodeError, EventTooLargeError
from streamkit.llm import UpstreamError, _relay, chat_completions, relay
from tests.engine.drive import Client, WSGIClient, response, run, scope, start, stream, until
from tests.llm.upstream import LIMITED, RETRY_AFTER, Upstream, upstream

KINDS = pytest.mark.parametrize("kind", ["sync", "async"])
TYPE = "text/event-stream; charset=utf-8"


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of an answer, in chunks; an exception among them is raised; notes that it was closed."""

    def __init__(self, *chunks: bytes | Exception) -> None:
        self.chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            await asyncio.sleep(0)
            yield chunk

    def close(self) -> None:
        """Be closed."""
        self.closed += 1

    async def aclose(self) -> None:
        """Be closed."""
        await asyncio.sleep(0)
        self.closed += 1


def answering(body: Body, status: int = 200, content_type: str = TYPE) -> httpx.MockTransport:
    """Return what stands for a server that answers with `body`."""
    return httpx.MockTransport(lambda _: httpx.Response(status, headers={"Content-Type": content_type}, stream=body))


def opened(kind: str, body: Body, status: int = 200, content_type: str = TYPE) -> Any:
    """Return what `client.stream()` does, of a server that answers with `body`."""
    transport = answering(body, status, content_type)
    client = httpx.Client(transport=transport) if kind == "sync" else httpx.AsyncClient(transport=transport)
    return client.stream("POST", "http://upstream/")


def sent(kind: str, *chunks: bytes | Exception, status: int = 200, content_type: str = TYPE, **options: Any) -> bytes:
    """Return what a client gets of an answer."""
    body = Body(*chunks)
    try:
        return run(stream(relay(opened(kind, body, status, content_type), **options))).body
    finally:
        assert body.closed == 1


@KINDS
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_events_are_sent_on_with_their_fields(kind: str, size: int) -> None:
    """However they were cut and written: types, ids, times and data are kept, comments are dropped."""
    given = (
        b": hello\r\n\r\nretry: 5000\r\nid: 1\r\nevent: a\r\ndata: x\r\ndata:  y\r\n\r\n"
        b"data: z\n\n:\n\nid\ndata: [DONE]\n\n"
    )
    got = sent(kind, *(given[at : at + size] for at in range(0, len(given), size)))
    assert got == (b"event: a\nid: 1\nretry: 5000\ndata: x\ndata:  y\n\n" + b"data: z\n\n" + b"id: \ndata: [DONE]\n\n")


@KINDS
def test_data_does_not_depend_on_the_format(kind: str) -> None:
    """It is sent as it stands, also by a response whose own text would be JSON."""
    flow = relay(opened(kind, Body(b"data: [DONE]\n\n")))
    assert run(stream(flow, format=EventStream(json=True))).body == b"data: [DONE]\n\n"


MAPS: list[tuple[Callable[[Event], Any], bytes]] = [
    (lambda _: None, b""),
    (lambda event: event.data.upper(), b"event: t\nid: 1\ndata: A\n\n"),
    (lambda _: {"a": "\u2028"}, b'event: t\nid: 1\ndata: {"a":"\\u2028"}\n\n'),
    (lambda event: Event({"b": 1}, event="u", id=event.id), b'event: u\nid: 1\ndata: {"b":1}\n\n'),
    (lambda _: Event("b", retry=7), b"retry: 7\ndata: b\n\n"),
    (lambda _: [Event("b"), {"c": 1}], b'data: b\n\nevent: t\nid: 1\ndata: {"c":1}\n\n'),
    (lambda event: (event.data for _ in range(2)), b"event: t\nid: 1\ndata: a\n\nevent: t\ndata: a\n\n"),
    (lambda _: Event(comment="c"), b": c\n"),
]


@pytest.mark.parametrize(("map", "body"), MAPS)
def test_view_may_change_and_drop_events(map: Callable[[Event], Any], body: bytes) -> None:
    """A value becomes the data of the event that it stands for; an Event is that event."""
    assert sent("sync", b"event: t\nid: 1\ndata: a\n\n", map=map) == body


@KINDS
@pytest.mark.parametrize("end", ["[DONE]", lambda event: event.data == "[DONE]"])
def test_relay_ends_at_the_end_mark(kind: str, end: Any) -> None:
    """It is sent, upstream is closed, and what comes behind it is not waited for."""
    assert (
        sent(kind, b"data: a\n\ndata: [DONE]\n\ndata: b\n\n", ValueError(), end=end) == b"data: a\n\ndata: [DONE]\n\n"
    )


@KINDS
@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        ([b"data: a\n\n"], "ended after 1 events without '[DONE]'"),
        ([b"data: a\n\n", b"data: b"], "closed in the middle of an event, after 1 whole ones"),
        ([b"data: a\n\n", b"event: b\n"], "closed in the middle of an event, after 1 whole ones"),
        ([b"data: a\n\n", b"data: b\n"], "closed in the middle of an event, after 1 whole ones"),
        ([], "ended after 0 events"),
    ],
)
def test_answer_that_breaks_off_is_cut_here_too(kind: str, chunks: list[bytes], text: str) -> None:
    """What upstream did not finish is not finished here, and the log says where it ended."""
    with pytest.raises(UpstreamError, match=re.escape(text)):
        sent(kind, *chunks, end="[DONE]")


@KINDS
def test_answer_without_an_end_mark_may_end_between_events(kind: str) -> None:
    """After a comment too."""
    assert sent(kind, b"data: a\n\n:\n") == b"data: a\n\n"


@KINDS
def test_media_type_may_be_written_in_any_way(kind: str) -> None:
    """By upstream; what is sent on is written as clients want it."""
    assert sent(kind, b"data: a\n\n", content_type="Text/Event-Stream ;charset=UTF-8") == b"data: a\n\n"


@KINDS
def test_failure_of_the_connection_says_after_which_event(kind: str) -> None:
    """The error is httpx's own."""
    with pytest.raises(httpx.ReadTimeout) as caught:
        sent(kind, b"data: a\n\ndata: b\n\n", httpx.ReadTimeout("slow"))
    assert caught.value.__notes__ == ["in a relay, after 2 events from upstream"]


@KINDS
def test_event_without_end_is_bounded(kind: str) -> None:
    """A server upstream does not fill our memory; events before it are sent."""
    with pytest.raises(EventTooLargeError):
        sent(kind, b"data: a\n\n" + b"data: " + b"x" * 100, max_event_size=50)


@pytest.mark.parametrize("item", [b"bytes", float("nan"), {"a": object()}])
def test_item_of_the_view_that_cannot_be_sent_is_named(item: Any) -> None:
    """By the event that it stands for."""
    with pytest.raises(EncodeError, match=r"^item 1: "):
        sent("sync", b"data: a\n\ndata: b\n\n", map=lambda event: item if event.data == "b" else None)


REFUSALS = [
    (401, "application/json", b'{"error":1}', (401, "application/json", b'{"error":1}')),
    (503, "text/html", b"<h1>", (503, "text/plain; charset=utf-8", b"upstream answered 503")),
    (302, "text/html", b"", (502, "text/plain; charset=utf-8", b"upstream answered 302")),
    (204, TYPE, b"", (502, "text/plain; charset=utf-8", b"upstream answered 204")),
    (
        200,
        "text/html; charset=utf-8",
        b"<h1>",
        (
            502,
            "text/plain; charset=utf-8",
            b"upstream answered 200 with text/html; charset=utf-8, not an event stream",
        ),
    ),
    (
        200,
        "application/json",
        b"{}",
        (502, "text/plain; charset=utf-8", b"upstream answered 200 with application/json, not an event stream"),
    ),
]


@KINDS
@pytest.mark.parametrize(("status", "content_type", "body", "answer"), REFUSALS)
def test_answer_that_is_no_event_stream_is_raised_in_the_view(
    kind: str, status: int, content_type: str, body: bytes, answer: tuple[int, str, bytes]
) -> None:
    """With what upstream said, and with what may be said of it to the client."""
    given = Body(body)

    async def view() -> None:
        with pytest.raises(UpstreamError) as caught:
            await primed(relay(opened(kind, given, status, content_type)))
        error = caught.value
        assert (error.status, error.media_type, error.body) == (status, content_type, body)
        assert error.answer == answer
        assert str(error).startswith(f"upstream answered {status}")
        await until(lambda: bool(given.closed))

    run(view())


@KINDS
def test_refusal_says_when_to_come_back_and_nothing_else_of_its_head(kind: str, silent: Upstream) -> None:
    """SDKs wait as long as Retry-After says; cookies and inner headers of a real server upstream stay behind."""
    client: Any = httpx.Client() if kind == "sync" else httpx.AsyncClient()
    ask = client.stream("POST", f"{silent.url}/chat/completions", json={"model": "limited"})

    async def view() -> None:
        with pytest.raises(UpstreamError) as caught:
            await primed(relay(ask), timeout=30)
        assert caught.value.answer == (429, "application/json", json.dumps(LIMITED).encode())
        assert caught.value.headers == {"Retry-After": RETRY_AFTER}

    run(view())


NOVEMBER = "Thu, 26 Nov 2026 15:00:00 GMT"


@pytest.mark.parametrize(
    ("status", "said", "headers"),
    [
        (429, "0", {"Retry-After": "0"}),
        (503, NOVEMBER, {"Retry-After": NOVEMBER}),
        (503, "", {}),
        (503, "soon", {}),
        (503, "-1", {}),
        (503, "9" * 4000, {}),
        (503, "\u0663", {}),
        (503, "1 Nov 99999999999 00:00:00", {}),
        (503, NOVEMBER + "\r\nSet-Cookie: a=1", {}),
        (302, "7", {}),
        (200, "7", {}),
        (None, "7", {}),
    ],
)
def test_time_to_wait_is_passed_on_if_it_is_one(status: int | None, said: str, headers: dict[str, str]) -> None:
    """Seconds or a date, and only of a refusal that keeps its status."""
    assert UpstreamError("refuses", status, "application/json", b"{}", said).headers == headers


@KINDS
def test_refusal_is_read_to_a_limit(kind: str) -> None:
    """A page without end is not."""
    given = Body(*[b"x" * 50_000] * 100, ValueError())

    async def view() -> None:
        with pytest.raises(UpstreamError) as caught:
            await primed(relay(opened(kind, given, 500, "text/plain")))
        assert len(caught.value.body) == 65536

    run(view())


@KINDS
@pytest.mark.parametrize("lasts", [5.0, 0.0])
def test_refusal_whose_body_breaks_off_or_drips_is_one(
    kind: str, lasts: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status is told, with what has come; half an object of JSON is not passed on as a whole."""
    monkeypatch.setattr(_relay, "BODY_SECONDS", lasts)
    more = httpx.ReadTimeout("slow") if lasts else b'ended": 1}'
    given = Body(b'{"ends":', more)

    async def view() -> None:
        with pytest.raises(UpstreamError) as caught:
            await primed(relay(opened(kind, given, 503, "application/json")))
        assert caught.value.body == b'{"ends":'
        assert caught.value.answer == (503, "text/plain; charset=utf-8", b"upstream answered 503")
        await until(lambda: bool(given.closed))

    run(view())


def open_sync(body: Body) -> httpx.Response:
    """Return a response whose body was not read yet."""
    client = httpx.Client(transport=answering(body))
    return client.send(client.build_request("GET", "http://upstream/"), stream=True)


async def open_async(body: Body) -> httpx.Response:
    """Return a response whose body was not read yet."""
    client = httpx.AsyncClient(transport=answering(body))
    return await client.send(client.build_request("GET", "http://upstream/"), stream=True)


@KINDS
def test_response_that_is_open_already_is_taken_too(kind: str) -> None:
    """As of `client.send(request, stream=True)`."""
    body = Body(b"data: a\n\n")
    given = run(open_async(body)) if kind == "async" else open_sync(body)
    assert run(stream(relay(given))).body == b"data: a\n\n"
    assert body.closed == 1


@KINDS
def test_upstream_is_closed_when_the_client_leaves(kind: str) -> None:
    """Once."""
    body = Body(*[b"data: a\n\n"] * 10_000)

    async def work() -> None:
        client = Client()
        client.stop_reading()
        serving = start(relay(opened(kind, body)), client)
        await client.began(1)
        client.leave()
        client.read_on()
        await serving
        await until(lambda: bool(body.closed))

    run(work())
    assert body.closed == 1


@pytest.fixture
def silent() -> Iterator[Upstream]:
    """Serve an upstream that sends one word and then nothing."""
    with upstream() as server:
        yield server


ASK = {"model": "silent"}


def test_silent_upstream_is_closed_at_once_when_the_client_leaves(silent: Upstream) -> None:
    """An async request is: under ASGI, and on a loop of streamkit's own under WSGI."""

    async def work() -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            caller = Client()
            serving = start(relay(client.stream("POST", f"{silent.url}/chat/completions", json=ASK)), caller)
            await until(lambda: b'"a"' in caller.body)
            caller.leave()
            await serving

    run(work())
    assert silent.left.wait(10)
    silent.left.clear()
    caller = WSGIClient(relay(httpx.AsyncClient(timeout=60).stream("POST", f"{silent.url}/chat/completions", json=ASK)))
    while b'"a"' not in next(caller.body):
        pass
    caller.close()
    assert silent.left.wait(10)


def test_silent_upstream_is_closed_by_its_next_word_where_a_thread_waits(silent: Upstream) -> None:
    """Nothing can wake a thread in a socket; the reader is let go all the same."""
    url = f"{silent.url}/chat/completions"
    caller = WSGIClient(relay(httpx.stream("POST", url, json=ASK, timeout=60)))
    while b'"a"' not in next(caller.body):
        pass
    caller.close()
    silent.go.set()
    assert silent.left.wait(10)


@KINDS
def test_open_response_that_is_never_streamed_is_closed(kind: str) -> None:
    """HEAD asks for no body, and upstream is paid for none."""
    body = Body(b"data: a\n\n")

    async def head() -> None:
        client = Client()
        await response(relay(await open_async(body)))(scope("HEAD"), client.receive, client.send)
        await until(lambda: bool(body.closed))

    if kind == "sync":
        WSGIClient(relay(open_sync(body)), method="HEAD").read()
    else:
        run(head())
    assert body.closed == 1


class Opener:
    """Opens an answer, and notes when it was let go."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.left = 0


class SyncOpener(Opener):
    """Is a sync one."""

    def __enter__(self) -> httpx.Response:
        return open_sync(self.body)

    def __exit__(self, *_: object) -> None:
        self.left += 1


class AsyncOpener(Opener):
    """Is an async one."""

    async def __aenter__(self) -> httpx.Response:
        return await open_async(self.body)

    async def __aexit__(self, *_: object) -> None:
        self.left += 1


@pytest.mark.parametrize("kind", [SyncOpener, AsyncOpener])
def test_what_opens_the_answer_is_let_go_once_and_only_where_it_was_opened(kind: type[Opener]) -> None:
    """At the end, when the client leaves, or never."""
    opener = kind(Body(b"data: a\n\n"))
    assert run(stream(relay(opener))).body == b"data: a\n\n"
    assert opener.left == 1
    opener = kind(Body())
    WSGIClient(relay(opener), method="HEAD").read()
    assert opener.left == 0


def test_error_may_be_told_in_the_words_of_the_protocol() -> None:
    """By `on_error`, where the view knows what the events are."""
    client = run(
        stream(relay(opened("async", Body(b"data: a\n\n")), end="[DONE]"), on_error=chat_completions.error_event)
    )
    (_, told) = EventDecoder().feed(client.body)
    assert '"error"' in told.data


@pytest.mark.parametrize("given", [None, "text", [b"data: a\n\n"], lambda: None])
def test_what_is_no_response_is_refused_in_the_view(given: Any) -> None:
    """With what it should be."""
    with pytest.raises(TypeError, match="response must be one of httpx"):
        relay(given)


@pytest.mark.parametrize("options", [{"map": "a"}, {"end": 7}])
def test_wrong_option_is_refused_in_the_view(options: dict[str, Any]) -> None:
    """Before anything is sent."""
    with pytest.raises(TypeError, match="must be a"):
        relay(opened("sync", Body()), **options)
