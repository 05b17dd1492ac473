"""The flow drives a protocol over any source, closes the source once, and has its client told of what fails."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest

from streamkit import Event, EventStream, Pipe
from streamkit.asgi import primed
from streamkit.channels import Detached, MemoryLog
from streamkit.errors import EncodeError, InBandError, StreamCutError
from streamkit.llm._flow import Protocol, raw, run, told
from tests.channels.streams import read
from tests.engine.drive import Client, WSGIClient, start, stream, until
from tests.engine.drive import run as bounded

KINDS = pytest.mark.parametrize("kind", ["sync", "async"])


class Shout(Protocol):
    """Says each part loudly, between two words, and fails on what is no text."""

    def begin(self) -> Iterable[object]:
        """Say hello."""
        return ["hello"]

    def feed(self, part: object, index: int) -> Iterable[object]:
        """Say it, after its number."""
        yield index
        if not isinstance(part, str):
            raise EncodeError(type(part).__name__, "only text can be shouted")
        yield part.upper()

    def end(self) -> Iterable[object]:
        """Say that it is over."""
        return [raw("[DONE]")]

    def failed(self, error: Exception) -> Iterable[object]:
        """Say what has failed."""
        return [{"failed": type(error).__name__}, raw("[DONE]")]


class Mute(Shout):
    """Has no word for failures."""

    def failed(self, error: Exception) -> Iterable[object]:
        """Say nothing."""
        return ()


class Source:
    """An SDK's stream: open from the start, iterated and closed apart."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts
        self.closed = 0
        self.is_closed = threading.Event()

    def note(self) -> None:
        """Note that it was closed."""
        self.closed += 1
        self.is_closed.set()


class Sync(Source):
    def __iter__(self) -> Iterator[Any]:
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            yield part

    def close(self) -> None:
        """Be closed."""
        self.note()


class Async(Source):
    async def __aiter__(self) -> AsyncIterator[Any]:
        for part in self.parts:
            await asyncio.sleep(0)
            if isinstance(part, Exception):
                raise part
            yield part

    async def close(self) -> None:
        """Be closed, as openai's AsyncStream is."""
        await asyncio.sleep(0)
        self.note()


def source(kind: str, *parts: Any) -> Any:
    """Return a source of a kind."""
    return Sync(*parts) if kind == "sync" else Async(*parts)


def bodies(content: Any) -> Iterator[Any]:
    """Make a function of what serves it, for each way to be served: its body."""
    yield lambda: bounded(stream(content())).body
    for threads in True, False:
        yield lambda threads=threads: WSGIClient(content(), threads=threads).read().removeprefix(b":\n")


WHOLE = b'data: "hello"\n\ndata: 0\n\ndata: "A"\n\ndata: 1\n\ndata: "B"\n\ndata: [DONE]\n\n'
TOLD = b'data: {"failed":"ValueError"}\n\ndata: [DONE]\n\n'


@KINDS
def test_parts_become_the_events_of_the_protocol(kind: str) -> None:
    """In order, between its first and its last words, on every path of the engine."""
    sources = []

    def content() -> Any:
        sources.append(source(kind, "a", "b"))
        return run(Shout(), sources[-1])

    for body in bodies(content):
        assert body() == WHOLE
    assert [each.closed for each in sources] == [1, 1, 1]


@pytest.mark.parametrize("format", [EventStream(), EventStream(json=True)])
def test_events_do_not_depend_on_the_format(format: EventStream) -> None:
    """Text is one line of JSON and a mark is bare, whatever the response does with text of its own."""
    flow: Any = run(Shout(), ["a\u2028"])
    written = b"".join(map(format.encode, flow))
    assert written == b'data: "hello"\n\ndata: 0\n\ndata: "A\\u2028"\n\ndata: [DONE]\n\n'
    event = raw("[DONE]", event="end", id="7", retry=5)
    assert format.encode(event) == b"event: end\nid: 7\nretry: 5\ndata: [DONE]\n\n"
    assert repr(event) == "Event('[DONE]', event='end', id='7', retry=5)"


@KINDS
def test_source_without_parts_has_a_beginning_and_an_end(kind: str) -> None:
    """An empty answer is an answer."""
    for body in bodies(lambda: run(Shout(), source(kind))):
        assert body() == b'data: "hello"\n\ndata: [DONE]\n\n'


@KINDS
def test_failure_is_told_and_logged_once_as_it_was(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """The client gets what was ready and then the protocol's words; the log gets the error itself; all ends cleanly."""
    reasons: list[str] = []
    sources = []

    def content() -> Any:
        sources.append(source(kind, "a", ValueError("secret")))
        return run(Shout(), sources[-1])

    def serve() -> Iterator[bytes]:
        on_close = lambda reason, _: reasons.append(reason)  # noqa: E731
        on_error = pytest.fail  # the client must not be told twice
        client = bounded(stream(content(), on_close=on_close, on_error=on_error))
        assert client.ended
        yield client.body
        for threads in True, False:
            yield WSGIClient(content(), threads=threads, on_close=on_close, on_error=on_error).read()

    for body in serve():
        assert body.removeprefix(b":\n") == b'data: "hello"\n\ndata: 0\n\ndata: "A"\n\n' + TOLD
        (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert record.exc_info is not None
        assert record.exc_info[0] is ValueError
        assert "__iter__" in caplog.text or "__aiter__" in caplog.text
        caplog.clear()
    assert reasons == ["error"] * 3
    assert [each.closed for each in sources] == [1, 1, 1]


@KINDS
def test_part_that_the_protocol_refuses_is_named(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """What it gave before the fault is sent; the error says which part it was."""
    for body in bodies(lambda: run(Shout(), source(kind, "a", None, "b"))):
        assert body().endswith(b'data: "A"\n\ndata: 1\n\ndata: {"failed":"EncodeError"}\n\ndata: [DONE]\n\n')
    assert caplog.text.count("EncodeError: item 1: cannot encode NoneType: only text can be shouted") == 3


@KINDS
def test_failure_without_words_for_it_cuts_the_stream(kind: str) -> None:
    """As that of any source, so that no client takes it for the end."""
    for body in bodies(lambda: run(Mute(), source(kind, "a", ValueError("secret")))):
        with pytest.raises(ValueError, match="secret"):
            body()


@KINDS
def test_cut_stays_a_cut(kind: str) -> None:
    """Where the source itself was cut, nothing is sent after it."""
    for body in bodies(lambda: run(Shout(), source(kind, "a", StreamCutError("slow_client")))):
        with pytest.raises(StreamCutError):
            body()


@KINDS
def test_failure_before_the_first_part_is_raised_in_the_view_by_primed(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As it was, so that the view can answer with a status; nothing is logged, and the source is closed."""
    given = source(kind, PermissionError("no"))

    async def view() -> None:
        with pytest.raises(PermissionError, match="no") as caught:
            await primed(run(Shout(), given))
        assert caught.value.__cause__ is None
        await until(lambda: bool(given.closed))

    bounded(view())
    assert given.closed == 1
    assert not caplog.records


@KINDS
def test_failure_before_the_first_part_is_told_where_nobody_waited(kind: str) -> None:
    """Without a beginning: there is no answer."""
    for body in bodies(lambda: run(Shout(), source(kind, ValueError("secret")))):
        assert body() == TOLD


@KINDS
def test_source_is_closed_when_the_client_leaves(kind: str) -> None:
    """Once, also in the middle."""
    given = source(kind, *"a" * 10_000)

    async def work() -> None:
        client = Client()
        client.stop_reading()
        serving = start(run(Shout(), given), client)
        await client.began(1)
        client.leave()
        client.read_on()
        await serving
        await until(lambda: bool(given.closed))

    bounded(work())
    assert given.closed == 1


@KINDS
def test_source_that_was_never_begun_is_closed(kind: str) -> None:
    """An SDK's stream is open already; HEAD asks for no body."""
    given = source(kind, "a")
    WSGIClient(run(Shout(), given), method="HEAD").read()
    assert given.is_closed.wait(10)


def test_source_is_closed_once_whoever_closes_it_again() -> None:
    """By a server and by a test, say; after that nothing comes."""
    given = Sync("a", "b")
    flow: Any = run(Shout(), given)
    assert next(flow).data == "hello"
    flow.close()
    flow.close()
    assert given.closed == 1
    assert list(flow) == []


def test_source_that_goes_both_ways_does() -> None:
    """The response decides, as for any such source."""
    for ways in range(2):
        pipe = Pipe(10)
        for part in "ab":
            pipe.put(part)
        pipe.close()
        flow = run(Shout(), pipe)
        assert (bounded(stream(flow)).body if ways else WSGIClient(flow, threads=False).read()).endswith(WHOLE)


def test_cancellation_that_is_meant_for_the_source_reaches_it() -> None:
    """A time-out that it holds open across its `yield` is its own affair: it may go on, end, or fail."""

    async def main() -> None:
        async def parts(then: str) -> AsyncIterator[str]:
            try:
                yield "a"
            except asyncio.CancelledError:
                if then == "fail":
                    raise TimeoutError from None
                if then == "go on":
                    yield "b"

        given = {}
        for then in "go on", "end", "fail":
            flow: Any = run(Shout(), parts(then))
            given[then] = [await anext(flow), await anext(flow), await anext(flow)]
            given[then].append(await flow.athrow(asyncio.CancelledError()) if then != "fail" else None)
            if then == "fail":
                with pytest.raises(InBandError) as caught:
                    await flow.athrow(asyncio.CancelledError())
                assert isinstance(caught.value.error, TimeoutError)
            await flow.aclose()
        assert [given[then][3] and given[then][3].data for then in given] == [1, "[DONE]", None]

    asyncio.run(main())


@pytest.mark.parametrize("content", ["text", {"a": 1}, b"bytes", None, lambda: None])
def test_what_is_no_source_is_refused_in_the_view(content: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(TypeError, match="content"):
        run(Shout(), content)


@KINDS
def test_detached_stream_keeps_what_its_client_is_told(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is stored before the end, which is that of any that failed; the error is logged once, as it was."""

    async def main() -> Any:
        detached = Detached(MemoryLog())
        await detached.start("k", run(Shout(), source(kind, "a", ValueError("secret"))))
        return await read(detached, "k")

    *parts, done, end = asyncio.run(main())
    assert parts == [(None, "hello"), (None, 0), (None, "A"), (None, {"failed": "ValueError"})]
    assert done == (None, "[DONE]")
    assert end[0] == "failed"
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[0] is ValueError


def test_word_of_the_app_on_an_error_is_asked_for_and_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    """A second failure is logged, and the client gets the general words."""
    assert told(ValueError("a"), None) is None
    assert told(ValueError("a"), str) == "a"
    assert told(ValueError("a"), lambda error: 1 / 0) is None
    assert "ZeroDivisionError" in caplog.text


def test_flow_of_a_flow_tells_in_its_own_words() -> None:
    """The error inside is what failed."""

    def relaying() -> Iterator[str]:
        yield "a"
        raise InBandError(ValueError("inside"), [Event("in other words")])

    outer: Any = run(Shout(), relaying())
    with pytest.raises(InBandError) as caught:
        list(outer)
    assert isinstance(caught.value.error, ValueError)
    items = [event for event in caught.value.items if isinstance(event, Event)]
    assert [event.data for event in items] == [{"failed": "ValueError"}, "[DONE]"]
