"""A POST that answers as OpenAI's chat completions do, by hand; the request's `model` says how."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from streamkit import StreamPolicy
from streamkit.asgi import EventStreamResponse
from tests.rig.asgi import answer_lifespan
from tests.rig.sidedoor import open_side_door

if TYPE_CHECKING:
    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope

WORDS = [f"word{number} " for number in range(20)]
"""The answer of the model "brief", a word every tenth of a second; "endless" repeats it for ever."""

open_side_door()


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer any POST."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    model = json.loads(await _body(receive))["model"]
    answer: Any = EventStreamResponse(
        _chunks(model), end="[DONE]", policy=StreamPolicy(grace=10 if model == "brief" else 0.5)
    )
    await answer(scope, receive, send)


async def _body(receive: ASGIReceiveCallable) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        assert message["type"] == "http.request"
        body += message["body"]
        more = message["more_body"]
    return body


async def _chunks(model: str) -> AsyncIterator[dict[str, Any]]:
    yield _chunk(model, {"role": "assistant", "content": ""})
    while True:
        for word in WORDS:
            await asyncio.sleep(0.1)
            yield _chunk(model, {"content": word})
        if model == "brief":
            break
    yield _chunk(model, {}, finish="stop")


def _chunk(model: str, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
