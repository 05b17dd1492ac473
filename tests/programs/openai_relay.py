"""A relay of an OpenAI stream: clients use `OpenAI(base_url=…)` against us, and the key stays here.

Run: uvicorn openai_relay:app
"""

import os
from typing import Any

from fastapi import FastAPI, HTTPException
from openai import APIStatusError, AsyncOpenAI

from streamkit.fastapi import EventStreamResponse
from streamkit.llm import chat_completions

app = FastAPI()
client = AsyncOpenAI(base_url=os.environ.get("OPENAI_BASE_URL"), api_key=os.environ.get("OPENAI_API_KEY", "none"))


@app.post("/v1/chat/completions", response_class=EventStreamResponse)
async def completions(body: dict[str, Any]) -> EventStreamResponse:
    """Send each chunk on as it comes; a client that leaves closes the request to OpenAI."""
    try:
        chunks = await client.chat.completions.create(model=body["model"], messages=body["messages"], stream=True)
    except APIStatusError as error:
        raise HTTPException(error.status_code, "the model did not answer") from error
    return EventStreamResponse(chat_completions.stream(chunks, model=body["model"]))
