"""Events, formats, policies, limits, pipes and decoders."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

from streamkit import (
    NDJSON,
    EncodeError,
    Event,
    EventDecoder,
    EventStream,
    EventTooLargeError,
    Format,
    JSONSeq,
    NDJSONDecoder,
    Pipe,
    Stats,
    StreamkitError,
    StreamLimit,
    StreamPolicy,
    StreamStats,
    TextStream,
    close_streams,
    drain,
    set_max_threads,
    stats,
)


def events(event: Event) -> None:
    """An id may be given as an int and is text; the order of fields is no interface."""
    assert_type(Event({"n": 1}, event="tick", id=7, retry=3000, comment="x"), Event)
    assert_type(event.id, str | None)
    assert_type(event.event, str | None)
    assert_type(event.retry, int | None)
    assert_type(event.comment, str | None)
    Event("x", "tick")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Event("x", type="tick")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Event("x", id=1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    event.id = "8"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


class CSV(Format):
    """A format of one's own."""

    media_type = "text/csv"

    def encode(self, item: object) -> bytes:
        """Return a row."""
        return str(item).encode()


class OfText(Format):
    """A format that forgets to encode."""

    media_type = "text/csv"

    def encode(self, item: object) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return text."""
        return str(item)


def formats() -> None:
    """Each is a Format; what it writes is bytes."""
    known: list[Format] = [
        EventStream(json=True),
        NDJSON(media_type="application/jsonl"),
        JSONSeq(),
        TextStream(),
        CSV(),
    ]
    assert_type(known[0].encode(object()), bytes)
    EventStream(dumps=len)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    EventStream(True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def policies(on_close: StreamStats) -> None:
    """Options are keywords, and None switches off what can be."""
    StreamPolicy(keepalive=None, send_timeout=None, max_age=None, drain="cut", retry=2000)
    StreamPolicy(15)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    StreamPolicy(drain="slowly")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    StreamPolicy(keepalive="15")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    StreamPolicy(cleanup_timeout=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(StreamLimit(500, per_key=5).open, int)
    StreamLimit(500, 5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert_type(on_close.frames, int)
    assert_type(on_close.age, float)


def process() -> None:
    """What is asked of the process answers with numbers."""
    assert_type(stats(), Stats)
    assert_type(stats().ends, dict[str, int])
    assert_type(close_streams("ann"), int)
    assert_type(drain(), int)
    set_max_threads(10)
    close_streams(["ann"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def pipes() -> None:
    """A pipe is put into by callbacks, read as either kind of iterable, and closed by `with`."""
    with Pipe(maxsize=10) as pipe:
        assert_type(pipe, Pipe)
        pipe.put({"percent": 1})
        await pipe.aput("x")
        pipe.close(ValueError())
        assert_type(pipe.closed, bool)
    assert_type(iter(pipe), Iterator[object])
    assert_type(aiter(pipe), AsyncIterator[object])
    pipe.close("failed")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def decoders() -> None:
    """Bytes in, events or values out."""
    decoder = EventDecoder(max_event_size=None)
    assert_type(decoder.feed(b""), list[Event])
    assert_type(decoder.close(), list[Event])
    assert_type(decoder.last_event_id, str | None)
    assert_type(NDJSONDecoder().feed(b""), list[Any])
    decoder.feed("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def errors(error: EncodeError, large: EventTooLargeError) -> None:
    """Each carries what a caller needs, and is caught by the base and by the built-in."""
    assert_type(error.index, int | None)
    assert_type(large.limit, int)
    base: StreamkitError = error
    value: ValueError = error
    del base, value
