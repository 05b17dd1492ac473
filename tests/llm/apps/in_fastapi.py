"""The completions in FastAPI, async throughout."""

from __future__ import annotations

from typing import Any

import openai
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from streamkit.fastapi import EventStreamResponse, primed
from streamkit.llm import chat_completions
from tests.llm.apps.answers import POLICY, BusyError, async_source, options
from tests.rig.sidedoor import open_side_door

app = FastAPI(openapi_url=None)
open_side_door()


@app.post("/v1/chat/completions")
async def completions(body: dict[str, Any]) -> Response:
    """Answer by the model."""
    try:
        source = await primed(chat_completions.stream(await async_source(body), **options(body)))
    except BusyError:
        return JSONResponse({"error": {"message": "come back later"}}, 429)
    except openai.APIStatusError as error:
        return JSONResponse({"error": error.body}, error.status_code)
    return EventStreamResponse(source, policy=POLICY)
