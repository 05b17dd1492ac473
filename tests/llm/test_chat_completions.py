"""OpenAI's chat completions from every kind of part, and what becomes of parts that are none."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from streamkit import EventDecoder, EventStream
from streamkit.errors import EncodeError, InBandError
from streamkit.llm import UpstreamError, chat_completions

HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "mine"}
ROLE = {"role": "assistant", "content": ""}
GENERAL = {"message": "The answer could not be completed.", "type": "server_error", "code": None, "param": None}


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a chunk as OpenAI has it."""
    return {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def sent(parts: Iterable[Any], **options: Any) -> list[Any]:
    """Return the data of the events for some parts, to the error with which they end, if they do."""
    flow: Any = chat_completions.stream(parts, model="mine", id="c1", created=7, **options)
    got = []
    try:
        for event in flow:
            got.append(event.data)  # noqa: PERF401 - what came before the error counts
    except InBandError as exc:
        got += [*(event.data for event in exc.items), exc.error]  # type: ignore[attr-defined]
    return got


class Delta(BaseModel):
    """Stands for an SDK's own type: a field that the server did not send is unset."""

    role: str | None = None
    content: str | None = None
    refusal: str | None = None


class Choice(BaseModel):
    index: int
    delta: Delta
    finish_reason: str | None = None


class Chunk(BaseModel):
    id: str
    choices: list[Choice]
    usage: dict[str, int] | None = None
    system_fingerprint: str | None = None


def upstream(content: str | None, finish: str | None = None) -> Chunk:
    """Return a chunk of an SDK."""
    delta = Delta() if content is None else Delta(content=content)
    return Chunk(id="up", choices=[Choice(index=0, delta=delta, finish_reason=finish)])


def test_tokens_become_an_answer() -> None:
    """The role, a delta for each token, the finish reason, the mark."""
    assert sent(["Hel", "lo"]) == [
        chunk(ROLE),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        "[DONE]",
    ]


def test_answer_of_no_tokens_is_one() -> None:
    """A model may have nothing to say."""
    assert sent([]) == [chunk(ROLE), chunk({}, "stop"), "[DONE]"]


def test_usage_is_sent_to_the_client_that_wants_it() -> None:
    """Null on every chunk, then an extra one without choices, whenever the source has told it."""
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    for parts in [{"usage": usage}, "a"], ["a", {"usage": usage}], ["a", {"finish_reason": "stop", "usage": usage}]:
        assert sent(parts, include_usage=True) == [
            chunk(ROLE, usage=None),
            chunk({"content": "a"}, usage=None),
            chunk({}, "stop", usage=None),
            {**HEAD, "choices": [], "usage": usage},
            "[DONE]",
        ]
        assert sent(parts) == [chunk(ROLE), chunk({"content": "a"}), chunk({}, "stop"), "[DONE]"]
    assert sent(["a"], include_usage=True)[-2:] == [chunk({}, "stop", usage=None), "[DONE]"]


def test_finish_reason_is_the_callers() -> None:
    """By itself, or in the last delta."""
    assert sent(["a", {"finish_reason": "length"}])[2:] == [chunk({}, "length"), "[DONE]"]
    assert sent([{"content": "a", "finish_reason": "length"}])[1:3] == [chunk({"content": "a"}), chunk({}, "length")]


def test_tool_calls_are_the_finish_reason_where_there_were_any() -> None:
    """As with OpenAI."""
    call = {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert sent([{"tool_calls": [call]}]) == [
        chunk(ROLE),
        chunk({"tool_calls": [call]}),
        chunk({}, "tool_calls"),
        "[DONE]",
    ]
    assert sent([{"tool_calls": [call], "finish_reason": "stop"}])[2] == chunk({}, "stop")


def test_role_is_not_said_twice() -> None:
    """Where the source says it, that is the one."""
    assert sent([{"role": "assistant", "content": None}, "a"])[0] == chunk({"role": "assistant", "content": None})
    assert len(sent([{"role": "assistant", "content": None}, "a"])) == 4


@pytest.mark.parametrize("delta", [{"reasoning": "hm"}, {"reasoning_content": "hm", "signature": "x"}])
def test_deltas_of_other_makers_are_sent_as_they_are(delta: dict[str, Any]) -> None:
    """No model of anybody's API."""
    assert sent([delta])[1] == chunk(delta)


def test_stream_of_an_sdk_is_sent_on_as_it_was() -> None:
    """Unset fields stay unset, null stays null, and neither role nor finish reason is added."""
    first = Chunk(id="up", choices=[Choice(index=0, delta=Delta(role="assistant", content=""), finish_reason=None)])
    parts = [first, upstream("a"), upstream(None, "stop")]
    assert sent(parts) == [
        {"id": "up", "choices": [{"index": 0, "delta": ROLE, "finish_reason": None}]},
        {"id": "up", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]},
        {"id": "up", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        "[DONE]",
    ]
    assert sent([part.model_dump(exclude_unset=True) for part in parts]) == sent(parts)


def test_usage_of_upstream_goes_to_the_client_that_wants_it() -> None:
    """The chunk that has nothing else is dropped, and the field in others."""
    usage = Chunk(id="up", choices=[], usage={"total_tokens": 3})
    parts = [upstream("a", "stop").model_copy(update={"usage": None}), usage]
    asked = sent(parts, include_usage=True)
    assert asked[1:] == [{"id": "up", "choices": [], "usage": {"total_tokens": 3}}, "[DONE]"]
    assert ["usage" in each for each in sent(parts)] == [False, False]


def test_objects_of_an_sdk_inside_a_dict_are_as_they_were() -> None:
    """Also there unset is unset."""

    class Call(BaseModel):
        index: int
        id: str | None = None

    assert sent([{"tool_calls": [Call(index=0)]}])[1] == chunk({"tool_calls": [{"index": 0}]})
    assert sent([Delta(content="a"), Delta()])[1:3] == [chunk({"content": "a"}), chunk({}, "stop")]


@pytest.mark.parametrize("parts", [[], [upstream("b")], [Chunk(id="up", choices=[])]])
def test_upstream_that_ends_without_a_finish_reason_was_cut(parts: list[Any]) -> None:
    """A clean end is not made of it, since no client would notice."""
    *_, told, error = sent([upstream("a"), *parts])
    assert told == {"error": GENERAL}
    assert isinstance(error, UpstreamError)
    assert "without a finish reason" in str(error)


def test_upstream_that_never_began_its_answer_was_cut() -> None:
    """Its first chunk may have no choices, only what it thinks of the prompt."""
    told, error = sent([{"choices": [], "prompt_filter_results": []}])[1:]
    assert told == {"error": GENERAL}
    assert isinstance(error, UpstreamError)


def test_each_choice_needs_its_finish_reason() -> None:
    """Of two answers one may be cut."""
    two = [{"choices": [{"index": number, "delta": {"content": "a"}, "finish_reason": None}]} for number in range(2)]
    ends = [{"choices": [{"index": number, "delta": {}, "finish_reason": "stop"}]} for number in range(2)]
    assert sent([*two, *ends])[-1] == "[DONE]"
    assert isinstance(sent([*two, ends[0]])[-1], UpstreamError)


def test_error_of_the_source_is_told_in_general_words() -> None:
    """And no mark follows."""

    def parts() -> Iterable[str]:
        yield "a"
        raise ValueError("secret")

    assert sent(parts())[2:-1] == [{"error": GENERAL}]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("busy", {**GENERAL, "message": "busy"}),
        ({"message": "busy", "code": "rate_limit"}, {**GENERAL, "message": "busy", "code": "rate_limit"}),
        (None, GENERAL),
    ],
)
def test_app_may_say_more_of_an_error(said: Any, error: dict[str, Any]) -> None:
    """A message, or fields of the error object."""
    assert sent([None], error=lambda _: said)[0]["error"]["type"] == "server_error"

    def parts() -> Iterable[str]:
        yield "a"
        raise ValueError("secret")

    assert sent(parts(), error=lambda _: said)[2] == {"error": error}


@pytest.mark.parametrize("said", [7, b"busy", {"message": b"busy"}, {"code": float("nan")}])
def test_app_that_says_what_cannot_be_sent_is_told_so(said: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The client gets the general words."""

    def parts() -> Iterable[str]:
        raise ValueError("secret")
        yield

    assert sent(parts(), error=lambda _: said)[0] == {"error": GENERAL}
    (record,) = caplog.records
    assert record.levelno == logging.ERROR


def test_error_object_is_there_for_other_sources() -> None:
    """For `on_error`."""
    assert chat_completions.error_event(ValueError("secret")).data == {"error": GENERAL}


BAD = [
    (None, "cannot encode NoneType: a part must be text, a dict"),
    (b"a", "cannot encode bytes: a token must be text; decode it to str first"),
    (7, "cannot encode int"),
    (object(), "cannot encode object"),
    ({"type": "text-delta", "delta": "a"}, "is no chunk, and no delta"),
    ({"type": "ai", "content": "a"}, "is no chunk, and no delta"),
    ({"text": "a"}, "{'text': 'a'} is no chunk, and no delta"),
    ({"content": 7}, "content must be a str or None, not 7"),
    ({"content": b"a"}, "content must be a str or None, not b'a'"),
    ({"tool_calls": "a"}, "tool_calls must be a list, not 'a'"),
    ({"tool_calls": [{"id": "t"}]}, "each of tool_calls needs an index"),
    ({"finish_reason": 7}, "finish_reason must be a str, not 7"),
    ({"choices": None}, "the choices of a chunk must be a list of dicts, not None"),
    ({"choices": [7]}, "the choices of a chunk must be a list of dicts"),
    ({"reasoning": float("nan")}, "cannot encode dict"),
    ("\ud800", "lone surrogate"),
]


@pytest.mark.parametrize(("part", "text"), BAD, ids=range(len(BAD)))
def test_part_that_is_none_is_named(part: Any, text: str) -> None:
    """By its number on the wire, and with what is wrong with it in the log."""
    *_, told, error = sent(["a", "b", part, "c"])
    assert told["error"]["message"] == "The answer could not be completed: item 2 of its source cannot be sent."
    assert isinstance(error, EncodeError)
    assert str(error).startswith("item 2: ")
    assert text in str(error)


@pytest.mark.parametrize("late", ["b", {"content": "b"}, {"finish_reason": "stop"}])
@pytest.mark.parametrize("end", [{"finish_reason": "length"}, upstream("a", "stop")])
def test_nothing_may_follow_the_finish_reason(end: Any, late: Any) -> None:
    """A part out of order is named, and so is the one that it may not follow."""
    error = sent(["a", end, late])[-1]
    assert isinstance(error, EncodeError)
    assert error.index == 2
    assert "item 1 has the finish reason" in str(error)


def test_error_of_upstream_in_a_dict_is_one() -> None:
    """Its text goes to the log; the client gets what the app says."""
    *_, told, error = sent(["a", {"error": {"message": "key sk-1 is wrong"}}])
    assert told == {"error": GENERAL}
    assert "sk-1" in str(error)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": None}, "model must be the name that clients are shown, a str, not None"),
        ({"error": "text"}, "error must be a function of an exception, not 'text'"),
        ({"id": 7}, "id must be a str, not 7"),
        ({"created": 1.5}, "created must be whole seconds since 1970, an int, not 1.5"),
        ({"created": True}, "created must be whole seconds since 1970, an int, not True"),
    ],
)
def test_wrong_option_is_refused_in_the_view(options: dict[str, Any], says: str) -> None:
    """Before anything is sent, with the name and the value."""
    with pytest.raises(TypeError) as raised:
        chat_completions.stream([], **{"model": "m", **options})
    assert str(raised.value) == says


def test_names_and_times_of_answers_differ() -> None:
    """Unless the caller gives them."""
    flows: list[Any] = [chat_completions.stream(["a"], model="m") for _ in range(2)]
    one, two = (next(flow).data for flow in flows)
    assert one["id"] != two["id"]
    assert one["id"].startswith("chatcmpl-")
    assert one["created"] > 1_700_000_000


@given(st.lists(st.text(st.characters(codec="utf-8"))), st.booleans())
def test_text_that_a_client_reads_is_the_sources(tokens: list[str], as_json: bool) -> None:
    """Whatever the tokens hold: line breaks, blanks in front, marks, separators; and whatever the format."""
    write = EventStream(json=as_json).encode
    flow: Any = chat_completions.stream(tokens, model="mine")
    body = b"".join(write(event) for event in flow)
    assert len(body.decode().splitlines()) == body.count(b"\n")
    *chunks, done = [event.data for event in EventDecoder().feed(body)]
    assert done == "[DONE]"
    assert not any(data.startswith("[DONE]") for data in chunks)
    deltas = [json.loads(data)["choices"][0]["delta"] for data in chunks]
    assert "".join(delta.get("content", "") for delta in deltas) == "".join(tokens)
