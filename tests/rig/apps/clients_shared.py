"""What the apps for real clients stream, the same in each framework: a shape is a wire protocol, a trap a behaviour.

`/SHAPE/TRAP/KEY` is a stream, which a request for `/close/KEY` ends; what follows in the path is the client's own.
Where `streamkit.llm` has the protocol, it makes the stream of the bare tokens. Items of the others are plain values, as
a view would yield them, and so are those of the trap `silence`: some clients are at fault only after they have seen an
id, which `streamkit.llm` sends none of.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from streamkit import Event, StreamPolicy
from streamkit.llm import chat_completions, ui_messages

FOLDER = "STREAMKIT_CLIENTS_FOLDER"
"""The variable that names the folder with `page.js`, which `/page` runs."""

TOKENS = ["Hel", "lo", "\n", "\n\n", "  two spaces", " ", "data: x", "[DONE]", "\U0001f600"]
SEPARATORS = ["a\u2028b", "c\u2029d", "e\u0085f"]
FEW = ["one", "two", "three", "four"]
BEFORE_THE_END = 2
"""How many of FEW are sent before the stream fails, is cut off or is closed."""

FAILURE = "no more words"
"""What the exception says that a source raises."""

SILENCE = 0.3
"""Seconds in the middle of a stream; several keepalives of the policies below."""

POLICIES = {
    "silence": StreamPolicy(keepalive=0.05),
    "retry": StreamPolicy(keepalive=0.05, retry=50),
    "cut": StreamPolicy(retry=50),
}

PAGE = '<!doctype html><meta charset="utf-8"><title>Clients</title><body><script type="module" src="/page.js"></script>'

PAUSE, FAIL = object(), object()
"""Steps of a source that are no items."""


class Wait(NamedTuple):
    """A step that lasts until the source is closed, with an item now and then that no client shows.

    A sync source learns there that it has been closed.
    """

    item: object = Event(comment="waiting")


class Shape(NamedTuple):
    """A wire protocol: how it begins, how it says a token, how it ends, and how it says that the source has failed."""

    token: Callable[[str, int], Any]
    failed: Callable[[Exception], Any]
    before: tuple[Any, ...] = ()
    after: tuple[Any, ...] = ()
    response: str = "EventStreamResponse"
    headers: dict[str, str] | None = None


class Made(NamedTuple):
    """One stream: the steps of its source, what is made of the source, and what its response is to be given."""

    steps: list[Any]
    response: str
    options: dict[str, Any]
    content: Callable[[object], object] = lambda source: source


def _chunk(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "none", "choices": [choice]}


def _typed(data: dict[str, Any]) -> Event:
    """Return an event whose type its data has too, as Anthropic's do."""
    return Event(data, event=data["type"])


_MESSAGE: dict[str, Any] = {
    "id": "1",
    "type": "message",
    "role": "assistant",
    "model": "none",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}

SHAPES = {
    "events": Shape(
        token=lambda text, id: Event({"text": text}, id=id),
        failed=lambda exc: Event({"message": str(exc)}, event="failed"),
        after=(Event({}, event="done"),),
    ),
    "html": Shape(
        token=lambda text, id: Event(f"<i>{escape(text)}</i>", event="token", id=id),
        failed=lambda exc: Event(f"<b>{escape(str(exc))}</b>", event="token"),
        after=(Event("", event="done"),),
    ),
    "turbo": Shape(
        token=lambda text, id: Event(_turbo(f"<i>{escape(text)}</i>"), id=id),
        failed=lambda exc: _turbo(f"<b>{escape(str(exc))}</b>"),
        after=('<turbo-stream action="remove" target="source"></turbo-stream>',),
    ),
    "openai": Shape(
        token=lambda text, id: Event(_chunk({"content": text}), id=id),
        failed=lambda exc: {"error": {"message": str(exc), "type": "server_error", "code": None, "param": None}},
        before=(_chunk({"role": "assistant", "content": ""}),),
        after=(_chunk({}, "stop"), "[DONE]"),
    ),
    "anthropic": Shape(
        token=lambda text, id: Event(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
            event="content_block_delta",
            id=id,
        ),
        failed=lambda exc: _typed({"type": "error", "error": {"type": "api_error", "message": str(exc)}}),
        before=(
            _typed({"type": "message_start", "message": _MESSAGE}),
            _typed({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ),
        after=(
            _typed({"type": "content_block_stop", "index": 0}),
            _typed({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}),
            _typed({"type": "message_stop"}),
        ),
    ),
    "ui": Shape(
        token=lambda text, id: Event({"type": "text-delta", "id": "t", "delta": text}, id=id),
        failed=lambda exc: {"type": "error", "errorText": str(exc)},
        before=({"type": "start", "messageId": "m"}, {"type": "start-step"}, {"type": "text-start", "id": "t"}),
        after=({"type": "text-end", "id": "t"}, {"type": "finish-step"}, {"type": "finish"}, "[DONE]"),
        headers=ui_messages.HEADERS,
    ),
    "agui": Shape(
        token=lambda text, id: Event({"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": text}, id=id),
        failed=lambda exc: {"type": "RUN_ERROR", "message": str(exc)},
        before=(
            {"type": "RUN_STARTED", "threadId": "t", "runId": "r"},
            {"type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant"},
        ),
        after=(
            {"type": "TEXT_MESSAGE_END", "messageId": "m"},
            {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"},
        ),
    ),
    "ndjson": Shape(
        token=lambda text, id: {"n": id, "text": text},
        failed=lambda exc: {"error": str(exc)},
        response="NDJSONResponse",
    ),
    "jsonseq": Shape(
        token=lambda text, id: {"n": id, "text": text},
        failed=lambda exc: {"error": str(exc)},
        response="JSONSeqResponse",
    ),
}


def _bare(text: str, id: int) -> Event:
    return Event(text, event="bare", id=id)


def _turbo(html: str) -> str:
    return f'<turbo-stream action="append" target="answer"><template>{html}</template></turbo-stream>'


PROTOCOLS: dict[str, Callable[[Callable[[Exception], str] | None], Callable[[object], object]]] = {
    "openai": lambda error: partial(chat_completions.stream, model="none", error=error),
    "ui": lambda error: partial(ui_messages.stream, message_id="m", error=error),
}
"""What `streamkit.llm` makes of tokens; given what its client is told of an exception."""


def make(shape_name: str, trap: str, key: str, last_event_id: str | None) -> Made:
    """Return the stream at `/SHAPE/TRAP/KEY`.

    Raises:
        KeyError: There is no such shape.
    """
    shape = SHAPES[shape_name]
    tokens = {"tokens": TOKENS, "separators": SEPARATORS, "bare": TOKENS}.get(trap, FEW)
    options: dict[str, Any] = {"headers": shape.headers, "key": key, "policy": POLICIES.get(trap)}
    if shape_name in PROTOCOLS and trap != "silence":
        content = PROTOCOLS[shape_name](str if trap == "error" else None)
        return Made(_broken(trap, tokens, Wait("")), shape.response, options, content)
    token = _bare if trap == "bare" else shape.token
    said = [token(text, number) for number, text in enumerate(tokens, 1)]
    if last_event_id is not None:
        return Made([*said[int(last_event_id) :], *shape.after], shape.response, options)
    if trap == "error":
        options["on_error"] = shape.failed
    return Made([*shape.before, *_broken(trap, said, Wait()), *shape.after], shape.response, options)


def _broken(trap: str, items: list[Any], wait: Wait) -> list[Any]:
    """Return items with what the trap has in the middle of them."""
    middle: dict[str, list[Any]] = {
        "silence": [PAUSE],
        "retry": [PAUSE],
        "error": [FAIL],
        "cut": [PAUSE, FAIL],
        "closed": [wait],
    }
    return [*items[:BEFORE_THE_END], *middle.get(trap, []), *items[BEFORE_THE_END:]]


def play(steps: list[Any]) -> Iterator[Any]:
    """Be the source that takes these steps."""
    for seconds, item in _timed(steps):
        time.sleep(seconds)
        if item is not None:
            yield item


async def play_async(steps: list[Any]) -> AsyncIterator[Any]:
    """Be it as an async generator."""
    for seconds, item in _timed(steps):
        await asyncio.sleep(seconds)
        if item is not None:
            yield item


def _timed(steps: list[Any]) -> Iterator[tuple[float, Any]]:
    """Yield the seconds to wait, and what to yield then, if anything."""
    for step in steps:
        if step is FAIL:
            raise ValueError(FAILURE)
        elif isinstance(step, Wait):
            for _ in range(400):
                yield 0.05, step.item
        elif step is PAUSE:
            yield SILENCE, None
        else:
            yield 0.0, step


def page_script() -> str:
    """Return the script of `/page`."""
    return (Path(os.environ[FOLDER]) / "page.js").read_text(encoding="utf-8")
