"""The order of a UI message stream: what strings and parts become, and what is refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit import EventStream, TextStream
from streamkit.errors import EncodeError, InBandError
from streamkit.llm import ui_messages
from streamkit.llm._ui_parts import FINISH_REASONS
from tests.engine.drive import WSGIClient

START, STEP, STEP_END, FINISH, DONE = (
    {"type": "start"},
    {"type": "start-step"},
    {"type": "finish-step"},
    {"type": "finish"},
    "[DONE]",
)
URL = {"type": "source-url", "sourceId": "s", "url": "https://example.com"}
USAGE = {"type": "message-metadata", "messageMetadata": {"tokens": 7}}
PROGRESS = {"type": "data-progress", "data": 7, "transient": True}
CHART = {"type": "data-chart", "data": [1, 2]}
CALL = {"type": "tool-input-start", "toolCallId": "c", "toolName": "look"}
GENERAL = "The answer could not be completed."


def text(number: int, *deltas: str, kind: str = "text") -> list[dict[str, str]]:
    """Return a run of text as it is sent."""
    id = f"{kind}-{number}"
    sent = [{"type": f"{kind}-delta", "id": id, "delta": delta} for delta in deltas]
    return [{"type": f"{kind}-start", "id": id}, *sent, {"type": f"{kind}-end", "id": id}]


def ready(kind: str, id: str, **more: str) -> dict[str, str]:
    """Return a part of text with an id."""
    return {"type": kind, "id": id, **more}


def sent(parts: Iterable[Any], **options: Any) -> list[Any]:
    """Return what is sent for some parts, to the error with which it ends, if it does."""
    flow: Any = ui_messages.stream(parts, **options)
    got = []
    try:
        for event in flow:
            got.append(event.data)  # noqa: PERF401 - what came before the error counts
    except InBandError as exc:
        got += [*(event.data for event in exc.items), exc.error]  # type: ignore[attr-defined]
    return got


ORDERS: dict[str, tuple[list[Any], list[Any]]] = {
    "nothing": ([], [START, FINISH]),
    "empty strings": (["", ""], [START, FINISH]),
    "strings": (["a", "", "b"], [START, STEP, *text(1, "a", "b"), STEP_END, FINISH]),
    "a part between strings": (["a", URL, "b"], [START, STEP, *text(1, "a"), URL, *text(2, "b"), STEP_END, FINISH]),
    "data between strings": (["a", CHART, "b"], [START, STEP, *text(1, "a"), CHART, *text(2, "b"), STEP_END, FINISH]),
    "metadata within a text": (
        ["a", USAGE, "b"],
        [START, STEP, *text(1, "a")[:2], USAGE, *text(1, "b")[1:], STEP_END, FINISH],
    ),
    "transient data within a text": (
        ["a", PROGRESS, "b"],
        [START, STEP, *text(1, "a")[:2], PROGRESS, *text(1, "b")[1:], STEP_END, FINISH],
    ),
    "data first": ([CHART, "a"], [START, CHART, STEP, *text(1, "a"), STEP_END, FINISH]),
    "reasoning without an id": (
        [{"type": "reasoning-delta", "delta": "hm"}, {"type": "reasoning-delta", "delta": "m"}, "a"],
        [START, STEP, *text(1, "hm", "m", kind="reasoning"), *text(2, "a"), STEP_END, FINISH],
    ),
    "text without an id": (
        ["a", {"type": "text-delta", "delta": "b", "providerMetadata": {"x": {}}}],
        [
            *[START, STEP, *text(1, "a")[:2]],
            *[{"type": "text-delta", "id": "text-1", "delta": "b", "providerMetadata": {"x": {}}}],
            *[text(1)[1], STEP_END, FINISH],
        ],
    ),
    "own text": (
        [ready("text-start", "t"), ready("text-delta", "t", delta="a"), ready("text-end", "t")],
        [
            *[START, STEP, ready("text-start", "t"), ready("text-delta", "t", delta="a"), ready("text-end", "t")],
            *[STEP_END, FINISH],
        ],
    ),
    "own text that is left open": (
        [ready("reasoning-start", "t")],
        [START, STEP, ready("reasoning-start", "t"), ready("reasoning-end", "t"), STEP_END, FINISH],
    ),
    "own text of our name": (
        [ready("text-start", "text-1"), "a", ready("text-end", "text-1")],
        [
            *[START, STEP, ready("text-start", "text-1"), *text(2, "a"), ready("text-end", "text-1")],
            *[STEP_END, FINISH],
        ],
    ),
    "own start": (
        [{"type": "start", "messageId": "m"}, "a"],
        [{"type": "start", "messageId": "m"}, STEP, *text(1, "a"), STEP_END, FINISH],
    ),
    "own finish": (
        ["a", {"type": "finish", "finishReason": "length"}],
        [START, STEP, *text(1, "a"), STEP_END, {"type": "finish", "finishReason": "length"}],
    ),
    "own steps": (
        [STEP, "a", STEP_END, STEP, "b", STEP_END],
        [START, STEP, *text(1, "a"), STEP_END, STEP, *text(2, "b"), STEP_END, FINISH],
    ),
    "a step after a step": (
        ["a", STEP, "b"],
        [START, STEP, *text(1, "a"), STEP_END, STEP, *text(2, "b"), STEP_END, FINISH],
    ),
    "a step that is written anew": (
        ["a", {"type": "reset-step"}, "b"],
        [START, STEP, *text(1, "a"), {"type": "reset-step"}, *text(2, "b"), STEP_END, FINISH],
    ),
    "a tool call": (
        ["a", CALL, {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": "{}"}],
        [
            *[
                START,
                STEP,
                *text(1, "a"),
                CALL,
                {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": "{}"},
            ],
            *[STEP_END, FINISH],
        ],
    ),
    "the result of a call of the message before": (
        [{"type": "tool-output-available", "toolCallId": "c", "output": None}],
        [START, STEP, {"type": "tool-output-available", "toolCallId": "c", "output": None}, STEP_END, FINISH],
    ),
    "own abort": (["a", {"type": "abort"}], [START, STEP, *text(1, "a")[:2], {"type": "abort"}]),
    "own error": (
        ["a", {"type": "error", "errorText": "no"}],
        [START, STEP, *text(1, "a")[:2], {"type": "error", "errorText": "no"}],
    ),
    "type is not the first key": (
        [{"url": "u", "mediaType": "m", "type": "file"}],
        [START, STEP, {"type": "file", "url": "u", "mediaType": "m"}, STEP_END, FINISH],
    ),
}


@pytest.mark.parametrize(("parts", "expected"), ORDERS.values(), ids=ORDERS)
def test_order_is_kept(parts: list[Any], expected: list[Any]) -> None:
    """Of strings it is made, of ready parts nothing is doubled and nothing left open."""
    assert sent(parts) == [*expected, DONE]


REFUSED: dict[str, tuple[object, str, str]] = {
    "None": (None, "NoneType", "a part is a str or a dict with a type, not None"),
    "bytes": (b"a", "bytes", "a part is a str or a dict with a type, not b'a'"),
    "no type": ({"text": "a"}, "dict", "a part has a \"type\", and this one has the keys ['text']"),
    "a type that is no text": ({"type": 7}, "7", "the UI message stream has no part of this type"),
    "an unknown type": ({"type": "text"}, "text", "the UI message stream has no part of this type"),
    "a field is missing": ({"type": "file", "url": "u"}, "file", "it needs the field 'mediaType'"),
    "a field is None": ({**URL, "title": None}, "source-url", "its title must be a str, not None"),
    "a field is no bool": ({**CALL, "dynamic": 1}, "tool-input-start", "its dynamic must be true or false, not 1"),
    "an unknown reason": (
        {"type": "finish", "finishReason": "done"},
        "finish",
        f"its finishReason must be one of {', '.join(FINISH_REASONS)}, not 'done'",
    ),
    "data without data": ({"type": "data-x"}, "data-x", "it needs the field 'data'"),
    "a delta of nothing open": (
        ready("text-delta", "t", delta="a"),
        "text-delta",
        "there is no open text with the id 't': send text-start first",
    ),
    "an end of nothing open": (
        ready("reasoning-end", "t"),
        "reasoning-end",
        "there is no open reasoning with the id 't': send reasoning-start first",
    ),
    "a delta that is no text": ({"type": "text-delta", "delta": 7}, "text-delta", "its delta must be a str, not 7"),
    "a start of what is open": (ready("text-start", "text-1"), "text-start", "the text 'text-1' is open already"),
    "input of no call": (
        {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": ""},
        "tool-input-delta",
        "no tool-input-start has come for the toolCallId 'c'",
    ),
    "a second start": (START, "start", "it must come first, and once; the message has begun"),
    "bytes inside a part": ({"type": "data-x", "data": b"a"}, "bytes", "decode it to str first"),
}


@pytest.mark.parametrize(("part", "name", "why"), REFUSED.values(), ids=REFUSED)
def test_part_that_the_client_would_fail_on_is_refused(part: object, name: str, why: str) -> None:
    """The client is told which part and where, in an error part; the log has why."""
    *begun, told, done, error = sent(["a", part])
    assert begun[:4] == [START, STEP, *text(1, "a")[:2]]
    assert told == {
        "type": "error",
        "errorText": f"The answer could not be completed: part 1, {name!r}, cannot be sent.",
    }
    assert done == DONE
    assert isinstance(error, EncodeError)
    assert (error.item_type, error.index) == (name, 1)
    assert error.detail.startswith(why)


@pytest.mark.parametrize(
    "last", [FINISH, {"type": "abort"}, {"type": "error", "errorText": "no"}], ids=lambda p: p["type"]
)
@pytest.mark.parametrize("part", ["b", URL])
def test_nothing_may_follow_the_end(last: dict[str, str], part: object) -> None:
    """What comes after it would be lost, or belongs to nothing."""
    error = sent([last, part])[-1]
    assert isinstance(error, EncodeError)
    assert error.detail == f"nothing may come after {last['type']!r}"


def test_end_of_no_step_is_refused() -> None:
    """It was closed, or never begun."""
    error = sent([STEP_END])[-1]
    assert isinstance(error, EncodeError)
    assert error.detail == "no step is open"


class TestMessageID:
    """The id of the message."""

    def test_id_is_sent_with_the_start(self) -> None:
        """Also with one of the source's own."""
        for parts in (["a"], [START, "a"], [{"type": "start", "messageId": "m"}]):
            assert sent(parts, message_id="m")[0] == {"type": "start", "messageId": "m"}

    def test_two_ids_are_refused(self) -> None:
        """A replay would be another message."""
        error = sent([{"type": "start", "messageId": "n"}], message_id="m")[-1]
        assert str(error) == "item 0: cannot encode start: its messageId is 'n', and the stream has 'm'"

    @pytest.mark.parametrize("id", ["", 7])
    def test_id_must_be_text(self, id: object) -> None:
        """At the call, not in the stream."""
        with pytest.raises(TypeError, match=r"message_id must be a str that is not empty, or None; not"):
            ui_messages.stream([], message_id=id)  # type: ignore[arg-type]


def failing() -> Iterator[str]:
    """Fail after a word."""
    yield "a"
    raise ValueError("secret")


class TestFailure:
    """A source that fails."""

    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (None, GENERAL),
            (lambda error: f"No: {error}", "No: secret"),
            (lambda _: None, GENERAL),
            (lambda _: 1 / 0, GENERAL),
            (lambda _: "\udce4.txt", GENERAL),
        ],
        ids=["general", "chosen", "no text", "fails itself", "not UTF-8"],
    )
    def test_client_is_told(self, error: Any, told: str) -> None:
        """In an error part and what the app says, or in general words; the text is left open, as it is not whole."""
        assert sent(failing(), error=error)[:-1] == [
            *[START, STEP, *text(1, "a")[:2]],
            *[{"type": "error", "errorText": told}, DONE],
        ]

    def test_error_is_said_once(self) -> None:
        """A source that has said so itself."""

        def parts() -> Iterator[object]:
            yield {"type": "error", "errorText": "no"}
            raise ValueError

        assert [part for part in sent(parts())[:-1] if part != START] == [{"type": "error", "errorText": "no"}, DONE]

    def test_stream_ends_in_order_and_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        """Over a response: the error is sent last, the body is whole, and the log has the exception once."""
        client = WSGIClient(ui_messages.stream(failing()), threads=False, format=EventStream())
        with caplog.at_level(logging.ERROR):
            body = client.read()
        assert body.endswith(b'data: {"type":"error","errorText":"%b"}\n\ndata: [DONE]\n\n' % GENERAL.encode())
        assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["secret"]

    def test_error_must_be_a_function(self) -> None:
        """At the call."""
        with pytest.raises(TypeError, match=r"error must be a function of an exception, not 'x'"):
            ui_messages.stream([], error="x")  # type: ignore[arg-type]


def assembled(parts: Iterable[Any]) -> str:
    """Return the text that a client shows."""
    return "".join(part["delta"] for part in sent(parts)[:-1] if part["type"] == "text-delta")


@given(st.lists(st.text()))
def test_text_is_exact(strings: list[str]) -> None:
    """Whatever the strings, in one text part, whose start comes before and whose end after."""
    assert assembled(strings) == "".join(strings)
    kinds = [part["type"] for part in sent(strings)[:-1]]
    assert kinds.count("text-start") == kinds.count("text-end") == ("".join(strings) != "")


@given(st.lists(st.one_of(st.text(), st.sampled_from([URL, USAGE, PROGRESS, CHART, STEP, CALL]))))
def test_client_finds_every_text_open(parts: list[Any]) -> None:
    """Whatever is mixed: each delta stands between the start and the end of its id, and steps do not overlap."""
    is_open: set[str] = set()
    depth = 0
    for part in sent(parts)[:-1]:
        what, _, step = part["type"].partition("-")
        if what == "text":
            assert (part["id"] in is_open) == (step != "start")
            is_open = {"start": is_open | {part["id"]}, "end": is_open - {part["id"]}}.get(step, is_open)
        depth += {"start-step": 1, "finish-step": -1}.get(part["type"], 0)
        assert 0 <= depth <= 1
    assert not is_open
    assert depth == 0


class TestTextStream:
    """The text alone."""

    def test_text_is_sent_as_it_is(self) -> None:
        """Strings and deltas, whatever else there is."""
        parts = [
            "a\n",
            START,
            {"type": "text-delta", "delta": " b"},
            URL,
            ready("text-delta", "t", delta="\u2028c"),
            "",
        ]
        client = WSGIClient(ui_messages.text_stream(parts), threads=False, format=TextStream())
        assert client.read().decode() == "a\n b\u2028c"

    @pytest.mark.parametrize("part", [{"type": "error", "errorText": "no"}, {"type": "abort"}, None, {"type": "x"}])
    def test_what_it_cannot_say_cuts_the_connection(self, part: object) -> None:
        """There is no form for an error, and a clean end would be a whole answer."""
        client = WSGIClient(ui_messages.text_stream(["a", part]), threads=False, format=TextStream())
        with pytest.raises(EncodeError, match="item 1"):
            client.read()

    def test_failure_cuts_the_connection(self) -> None:
        """For the server to see."""
        client = WSGIClient(ui_messages.text_stream(failing()), threads=False, format=TextStream())
        with pytest.raises(ValueError, match="secret"):
            client.read()


def test_async_source_is_streamed_and_closed() -> None:
    """As a sync one is."""
    closed = []

    async def words() -> AsyncIterator[str]:
        try:
            yield "a"
            yield "b"
        finally:
            closed.append(True)

    async def read() -> list[Any]:
        flow: Any = ui_messages.stream(words())
        got = [(await anext(flow)).data for _ in range(4)]
        await flow.aclose()
        return got

    assert asyncio.run(read()) == [START, STEP, *text(1, "a")[:2]]
    assert closed == [True]
