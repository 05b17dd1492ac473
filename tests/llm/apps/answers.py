"""What the completions of all three frameworks are made of.

Models that begin with "up:" are relayed from the server upstream by OpenAI's own client.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from streamkit import StreamPolicy
from streamkit.errors import StreamCutError

if TYPE_CHECKING:
    import openai

TOKENS = ["\n", " a", "\u2028", "[DONE]", "\n\n", "  ", "data: x", "\r\n", "", "é🎉", ": ping\n\n", "\x85", "\0"]
"""An answer in which each token is a trap for somebody."""

CALLS: list[dict[str, Any]] = [
    {"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": ""}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": ' "\\n"}'}}]},
]
USAGE = {"prompt_tokens": 2, "completion_tokens": 13, "total_tokens": 15}
logging.basicConfig()  # to stderr, which the tests look into

SILENCE = 0.6  # seconds, in which several keepalives are due
POLICY = StreamPolicy(keepalive=0.1)
SECRET = "password=hunter2"


class BusyError(Exception):
    """What the view answers with 429."""


def parts(model: str) -> list[Any]:
    """Return the parts of an answer; an exception among them is raised, None is a silence."""
    answers: dict[str, list[Any]] = {
        "traps": [*TOKENS, {"usage": USAGE}],
        "tools": CALLS,
        "long": ["a", {"finish_reason": "length"}],
        "silent": ["a", None, "b"],
        "busy": [BusyError()],
        "fails": ["a", ValueError(SECRET)],
        "said": ["a", KeyError("said")],
        "cut": ["a", StreamCutError("test")],
        "bad": ["a", b"b"],
    }
    return answers[model]


def told(error: Exception) -> str | None:
    """Say more of one error."""
    return "the weights are gone" if isinstance(error, KeyError) else None


def sync_parts(model: str) -> Iterator[Any]:
    """Give the parts from a sync generator."""
    for part in parts(model):
        if isinstance(part, Exception):
            raise part
        if part is None:
            time.sleep(SILENCE)
        else:
            yield part


async def async_parts(model: str) -> AsyncIterator[Any]:
    """Give the parts from an async generator."""
    for part in parts(model):
        await asyncio.sleep(SILENCE if part is None else 0)
        if isinstance(part, Exception):
            raise part
        if part is not None:
            yield part


def sync_source(body: dict[str, Any]) -> Any:
    """Return the source of an answer; that of a client upstream is open already."""
    model = body["model"]
    return _client().chat.completions.create(**_asked(body)) if model.startswith("up:") else sync_parts(model)


async def async_source(body: dict[str, Any]) -> Any:
    """Do so in a coroutine."""
    model = body["model"]
    if model.startswith("up:"):
        return await _async_client().chat.completions.create(**_asked(body))
    return async_parts(model)


def options(body: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the completion."""
    wants_usage = (body.get("stream_options") or {}).get("include_usage", False)
    return {"model": body["model"], "include_usage": wants_usage, "error": told}


def _asked(body: dict[str, Any]) -> dict[str, Any]:
    usage = {"stream_options": {"include_usage": True}}
    return {"model": body["model"].removeprefix("up:"), "messages": body["messages"], "stream": True, **usage}


@cache
def _client() -> openai.OpenAI:
    import openai

    return openai.OpenAI(base_url=os.environ["UPSTREAM"], api_key="ours", max_retries=0, timeout=20)


@cache
def _async_client() -> openai.AsyncOpenAI:
    import openai

    return openai.AsyncOpenAI(base_url=os.environ["UPSTREAM"], api_key="ours", max_retries=0, timeout=20)
