"""What is written by hand, to show how near to the floor a library can come, keeps the promises that it claims."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import orjson
import pytest

from benchmarks.apps import burst_by_hand
from benchmarks.apps.burst_by_hand import DICT, LINES, Figures, batched, kept
from benchmarks.encode import CHUNK, by_hand
from streamkit import NDJSON, EventStream

UNSEEN: list[dict[str, Any]] = [
    {"a": float("nan")},
    {"a": "\u2028"},
    {"a": orjson.Fragment(b"1\n\nid: 7")},
    {"a": orjson.Fragment(b"1\rid: 7")},
]
USER: ContextVar[str] = ContextVar("user")


def read(chunks: AsyncIterator[bytes]) -> list[bytes]:
    """Read to the end."""

    async def work() -> list[bytes]:
        return [chunk async for chunk in chunks]

    return asyncio.run(work())


async def items(values: Iterable[Any]) -> AsyncIterator[Any]:
    """Yield them."""
    for value in values:
        yield value


def test_event_by_hand_is_streamkits() -> None:
    """Byte for byte, where no closer look is needed."""
    assert by_hand(CHUNK) == EventStream().encode(CHUNK)


@pytest.mark.parametrize("value", UNSEEN)
def test_nothing_is_encoded_by_hand_that_needs_a_closer_look(value: dict[str, Any]) -> None:
    """A floor that let it pass would be lower than any library's."""
    with pytest.raises(ValueError, match="a"):
        by_hand(value)
    with pytest.raises(ValueError, match="a"):
        read(batched(items([value])))


@pytest.mark.parametrize("name", ["encoded", "batched"])
def test_lines_by_hand_are_streamkits(name: str) -> None:
    """As many as were asked for, and the same."""
    assert b"".join(read(LINES[name](5_000))) == NDJSON().encode(DICT) * 5_000


def test_batch_by_hand_leaves_when_it_is_large_or_an_item_took_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does in streamkit: one that gathered all would be no floor for a stream."""
    moments = iter([0.0, 0.0001, 0.0002, 0.0006, 0.0006, 0.0007, 0.0008])
    monkeypatch.setattr(burst_by_hand, "perf_counter", lambda: next(moments))
    line = orjson.dumps(DICT) + b"\n"
    assert read(batched(items([DICT] * 5))) == [line * 3, line * 2]
    monkeypatch.setattr(burst_by_hand, "perf_counter", lambda: 0.0)
    large = {"a": "x" * 40_000}
    assert [len(chunk) // 40_000 for chunk in read(batched(items([large] * 5)))] == [2, 2, 1]


def test_events_kept_by_hand_are_counted_timed_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the Context of the view, and with the figures right at every item."""
    moments = iter([0.0, 2.0, 10.0, 11.0, 20.0, 23.0])
    monkeypatch.setattr(burst_by_hand, "perf_counter", lambda: next(moments))
    figures, seen = Figures(), list[str]()

    def texts() -> Iterator[str]:
        for text in "abcd":
            seen.append(USER.get())
            yield text

    USER.set("view")
    events = kept(texts(), figures)
    USER.set("server")
    assert next(events) == EventStream().encode("a")
    assert (figures.frames, figures.bytes, figures.slowest) == (1, 0, 0.0)
    assert next(events) == EventStream().encode("b")
    assert (figures.frames, figures.bytes, figures.slowest) == (2, 9, 2.0)
    next(events)
    figures.over = True
    assert list(events) == []
    assert (figures.frames, figures.bytes, figures.slowest) == (3, 27, 3.0)
    assert seen == ["view"] * 3


@pytest.mark.parametrize("text", ["a\nid: 7", "a\rid: 7", "\ud800"])
def test_no_text_kept_by_hand_forges_a_line(text: str) -> None:
    """It is refused, where streamkit splits it into lines or says what is wrong."""
    with pytest.raises(ValueError, match=r"a|\ud800"):
        list(kept(iter([text]), Figures()))
