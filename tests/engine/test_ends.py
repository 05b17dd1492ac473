"""What a stream says last: its end item, the item of on_error, or nothing that could pass for a clean end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from streamkit import NDJSON, EncodeError, Event, EventStream, JSONSeq, StreamPolicy, TextStream
from streamkit._format import Format
from streamkit.asgi import _Response
from tests.engine.drive import Client, WSGIClient, no_item_is_slow, run, start, stream

END = Event("", event="done")
FORMATS: list[tuple[Format, bytes, bytes]] = [
    (EventStream(), b"data: a\n\n", b"event: done\ndata: \n\n"),
    (NDJSON(), b'"a"\n', b'{"data":"","event":"done"}\n'),
    (JSONSeq(), b'\x1e"a"\n', b'\x1e{"data":"","event":"done"}\n'),
    (TextStream(), b"a", b""),
]


async def one() -> AsyncIterator[object]:
    """Yield one item."""
    yield "a"


def sync_one() -> Iterator[object]:
    """Yield one item."""
    yield "a"


async def failing() -> AsyncIterator[object]:
    """Yield one item, in the body, then fail."""
    await asyncio.sleep(0)
    yield "a"
    raise ValueError("secret")


def sync_failing() -> Iterator[object]:
    """Yield one item, then fail."""
    yield "a"
    raise ValueError("secret")


@pytest.mark.parametrize(("format", "item", "end"), FORMATS)
@pytest.mark.parametrize("source", [one, sync_one])
def test_end_item_follows_completion_in_every_format(format: Format, item: bytes, end: bytes, source: Any) -> None:
    """The client learns that it has everything."""
    client = run(stream(source(), format=format, end=END, kind=_Response))
    assert client.body == item + end
    assert client.ended
    for threads in (True, False):
        inline = format.keepalive_by_default and source is sync_one and not threads
        body = WSGIClient(source(), format=format, end=END, threads=threads).read()
        assert body == (format.keepalive if inline else b"") + item + end


@pytest.mark.parametrize("source", [failing, sync_failing])
def test_no_end_item_follows_an_error(source: Any) -> None:
    """A failed stream is cut: no end item, no last body event, an exception for the host."""

    async def work() -> None:
        client = Client()
        with pytest.raises(ValueError, match="secret"):
            await start(source(), client, end=END)
        assert END.event is not None
        assert END.event.encode() not in client.body
        assert not client.ended

    run(work())
    for threads in (True, False):
        wsgi = WSGIClient(source(), threads=threads, end=END)
        with pytest.raises(ValueError, match="secret"):
            wsgi.read()


@pytest.mark.parametrize("source", [failing, sync_failing])
def test_item_of_on_error_is_the_last_and_the_body_ends_cleanly(source: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The exception is logged with its traceback; the client gets what the app says and nothing else."""
    on_error = lambda exc: Event(type(exc).__name__, event="failed")  # noqa: E731
    expected = b"data: a\n\nevent: failed\ndata: ValueError\n\n"
    client = run(stream(source(), on_error=on_error, end=END))
    assert client.body == expected
    assert client.ended
    for threads in (True, False):
        assert WSGIClient(source(), threads=threads, on_error=on_error, end=END).read().lstrip(b":\n") == expected
    assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"] * 3
    caplog.clear()


@pytest.mark.parametrize("source", [failing, sync_failing])
def test_on_error_may_end_without_an_item(source: Any, caplog: pytest.LogCaptureFixture) -> None:
    """None sends nothing more."""
    client = run(stream(source(), on_error=lambda exc: None))
    assert client.body == b"data: a\n\n"
    assert client.ended
    caplog.clear()


@pytest.mark.parametrize("source", [failing, sync_failing])
def test_on_error_that_fails_cuts_the_stream(source: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Its own exception reaches the host, also one that would mean a clean end to an iterator."""

    async def work() -> None:
        client = Client()
        with pytest.raises(RuntimeError):
            await start(source(), client, on_error=lambda exc: next(iter(())))
        assert not client.ended

    run(work())
    for threads in (True, False):
        with pytest.raises(RuntimeError):
            WSGIClient(source(), threads=threads, on_error=lambda exc: next(iter(()))).read()
    caplog.clear()


def test_on_error_as_a_class_attribute_is_given_the_exception_alone(caplog: pytest.LogCaptureFixture) -> None:
    """A plain function as an app's default is no method; a method is."""

    class WithFunction(_Response):
        format = EventStream()
        on_error = lambda exc: "function"  # type: ignore[assignment]  # noqa: E731

    class WithMethod(_Response):
        format = EventStream()

        def on_error(self, exc: Exception) -> str:
            return "method"

    assert run(stream(failing(), kind=WithFunction)).body == b"data: a\n\ndata: function\n\n"
    assert run(stream(failing(), kind=WithMethod)).body == b"data: a\n\ndata: method\n\n"
    caplog.clear()


@pytest.mark.parametrize("wrong", [b"bytes", object(), float("nan"), {"deep": [[[[float("nan")]]]]}, "\ud800"])
def test_item_that_cannot_be_encoded_is_named_by_its_index(wrong: object) -> None:
    """The stream is cut and the error tells which item it was, for every pump."""

    def items() -> Iterator[object]:
        yield "a"
        yield {"b": 1}
        yield wrong

    async def async_items() -> AsyncIterator[object]:
        for item in items():
            yield item

    for source in items, async_items:
        with pytest.raises(EncodeError) as caught:
            run(stream(source()))
        assert caught.value.index == 2
        for threads in (True, False):
            with pytest.raises(EncodeError, match="item 2: cannot encode"):
                WSGIClient(source(), threads=threads).read()


def test_error_before_the_source_first_suspends_leaves_the_answer_to_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent, so a 403 is still a 403; for sync sources too, when they refuse at once."""
    no_item_is_slow(monkeypatch)  # one that is leaves at once

    async def refused() -> AsyncIterator[str]:
        raise PermissionError
        yield

    def sync_refused() -> Iterator[str]:
        raise PermissionError
        yield

    async def refused_after_an_item() -> AsyncIterator[str]:
        yield "a"
        raise PermissionError

    async def work() -> None:
        for source in refused, sync_refused, refused_after_an_item:
            client = Client()
            with pytest.raises(PermissionError):
                await start(source(), client)
            assert client.events == []

    run(work())


@pytest.mark.parametrize(
    ("items", "body"),
    [
        (["a", "b"], b"retry: 5\ndata: a\n\ndata: b\n\n"),
        ([Event(id="1"), "a", "b"], b"id: 1\n\nretry: 5\ndata: a\n\ndata: b\n\n"),
        ([Event(comment="c"), Event("a", id=1)], b": c\nid: 1\nretry: 5\ndata: a\n\n"),
        ([Event("a", retry=9), "b"], b"retry: 9\ndata: a\n\ndata: b\n\n"),
        ([Event("a", event="e", id=1, retry=9), "b"], b"event: e\nid: 1\nretry: 9\ndata: a\n\ndata: b\n\n"),
        ([Event(retry=9), "b"], b"retry: 9\ndata: b\n\n"),
        ([], b""),
    ],
)
def test_retry_rides_in_the_first_event_with_data(items: list[object], body: bytes) -> None:
    """Never a block of its own, and an event's own retry wins."""
    policy = StreamPolicy(retry=5)

    async def async_items() -> AsyncIterator[object]:
        for item in items:
            yield item

    assert run(stream(iter(items), policy=policy)).body == body
    assert run(stream(async_items(), policy=policy)).body == body
    for threads in (True, False):
        assert WSGIClient(items, policy=policy, threads=threads).read().removeprefix(b":\n") == body


def test_retry_is_no_matter_of_other_formats() -> None:
    """A JSON line has no place for it."""
    assert run(stream(["a"], policy=StreamPolicy(retry=5), format=NDJSON(), kind=_Response)).body == b'"a"\n'
