"""The answers by OpenAI's API, for every client that takes a `base_url`.

from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none")
ask = {"role": "user", "content": "What is a keepalive?"}
for chunk in client.chat.completions.create(model="questions", messages=[ask], stream=True):
    print(chunk.choices[0].delta.content or "", end="", flush=True)
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from answers import words
from streamkit.fastapi import EventStreamResponse
from streamkit.llm import chat_completions

PACE = 0.05  # seconds a word

router = APIRouter()


class Message(BaseModel):
    """One message of a conversation: clients send its text as a string or in parts."""

    content: str | list[dict[str, Any]]

    @property
    def text(self) -> str:
        """The text."""
        parts = [{"text": self.content}] if isinstance(self.content, str) else self.content
        return " ".join(part.get("text", "") for part in parts)


class Options(BaseModel):
    """What the client wants besides the answer."""

    include_usage: bool = False


class Completion(BaseModel):
    """What the client sends; everything else is ignored."""

    model: str
    messages: list[Message]
    stream: bool = False
    stream_options: Options | None = None


@router.post("/v1/chat/completions", response_class=EventStreamResponse)
async def completions(sent: Completion) -> Response:
    """Answer the last message."""
    if not sent.stream:
        error = {"message": "this server streams: send stream=True", "type": "invalid_request_error"}
        return JSONResponse({"error": error}, 400)
    wants_usage = sent.stream_options is not None and sent.stream_options.include_usage
    text = sent.messages[-1].text if sent.messages else ""
    return EventStreamResponse(chat_completions.stream(tokens(text), model=sent.model, include_usage=wants_usage))


async def tokens(text: str) -> AsyncIterator[str | dict[str, Any]]:
    """Yield the words of the answer, and what it has cost."""
    answer = words(text)
    for word in answer:
        yield word
        await asyncio.sleep(PACE)
    asked, said = len(text.split()), len(answer)
    yield {"usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}}
