"""The answers by OpenAI's API, for every client that takes a `base_url`.

from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none")
ask = {"role": "user", "content": "What is a keepalive?"}
for chunk in client.chat.completions.create(model="questions", messages=[ask], stream=True):
    print(chunk.choices[0].delta.content or "", end="", flush=True)
"""

import time
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, request

from answers import words
from streamkit.flask import EventStreamResponse
from streamkit.llm import chat_completions

PACE = 0.05  # seconds a word
WANTED = "send a model, messages and stream=True: this server streams"

pages = Blueprint("completions", __name__)


@pages.post("/v1/chat/completions")
def completions() -> Response:
    """Answer the last message."""
    sent = request.get_json()
    match sent:
        case {"model": str(model), "messages": [*_, {"content": str() | list() as content}], "stream": True}:
            wants_usage = (sent.get("stream_options") or {}).get("include_usage") is True
            source = chat_completions.stream(tokens(text_of(content)), model=model, include_usage=wants_usage)
            return EventStreamResponse(source)
    return make_response(jsonify(error={"message": WANTED, "type": "invalid_request_error"}), 400)


def text_of(content: str | list[Any]) -> str:
    """Return the text of a message, which clients send as a string or in parts."""
    return content if isinstance(content, str) else " ".join(part["text"] for part in content if "text" in part)


def tokens(text: str) -> Iterator[str | dict[str, Any]]:
    """Yield the words of the answer, and what it has cost."""
    answer = words(text)
    for word in answer:
        yield word
        time.sleep(PACE)
    asked, said = len(text.split()), len(answer)
    yield {"usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}}
