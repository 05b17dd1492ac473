"""A relay of an OpenAI-compatible server: the browser streams from us, and the key stays on the server.

    curl -N http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' \
      -d '{"model": "llama3.2", "stream": true, "messages": [{"role": "user", "content": "Hello"}]}'

When the client leaves, the generator is closed and with it the request upstream: no tokens are paid for that nobody
reads.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
from fastapi import APIRouter, HTTPException, Response

from streamkit import EventDecoder
from streamkit.fastapi import EventStreamResponse, primed

UPSTREAM = "http://127.0.0.1:11434/v1"  # Ollama on this machine
HEADERS = {"Authorization": "Bearer unused"}  # the key of your provider; no client sees it
TIMEOUT = httpx.Timeout(10, read=120)  # seconds; a model may think for long before it writes

router = APIRouter()


class UpstreamError(Exception):
    """The server upstream refused the request, or broke off its answer."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"upstream answered {status}")
        self.status = status
        self.body = body


@router.post("/v1/chat/completions", response_class=EventStreamResponse)
async def completions(body: dict[str, Any]) -> Response:
    """Stream a completion; an error of the server upstream is passed on with its status."""
    if body.get("stream") is not True:
        raise HTTPException(400, 'this relay streams: send "stream": true')
    try:
        # primed() waits for the first event, because an error that comes before it can still be our status.
        return EventStreamResponse(await primed(relayed(body), timeout=60))
    except UpstreamError as error:
        return Response(error.body, error.status, media_type="application/json")
    except httpx.TransportError as error:
        raise HTTPException(502, f"no answer from upstream: {type(error).__name__}") from error


async def relayed(body: dict[str, Any]) -> AsyncIterator[str]:
    """Yield the data of each event from upstream, to the `[DONE]` that ends a completion."""
    url = f"{UPSTREAM}/chat/completions"
    async with (
        httpx.AsyncClient(timeout=TIMEOUT) as client,
        client.stream("POST", url, json=body, headers=HEADERS) as answer,
    ):
        if answer.status_code != 200:
            raise UpstreamError(answer.status_code, await answer.aread())
        decoder = EventDecoder()
        async for chunk in answer.aiter_bytes():
            for event in decoder.feed(chunk):
                yield event.data
                if event.data == "[DONE]":
                    return
        raise UpstreamError(502, b"")  # ended without [DONE]: the client must not take it for complete
