"""A chat for the AI SDK's useChat: answers go on without the page, and are found again after a reload.

The page is in the folder `assistant`, to be built once: `npm install && npm run build`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from answers import words
from streamkit.channels import Detached, SQLiteLog
from streamkit.fastapi import EventStreamResponse
from streamkit.llm import ui_messages

PACE = 0.05  # seconds a word
PAGE = Path(__file__).parent / "static" / "assistant.html"

log = SQLiteLog(Path(__file__).with_name("assistant.db"))  # what the workers of one machine share
streams = Detached(log, lease=5)  # seconds after which an answer whose server was killed is taken for lost
chats = ui_messages.Chats(streams)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Let answers finish when the server leaves, within a few seconds; the server itself waits for no task."""
    yield
    await streams.close()


router = APIRouter(lifespan=lifespan)


class Part(BaseModel):
    """A piece of a message; of most kinds of it only the type is of interest here."""

    type: str
    text: str = ""


class Message(BaseModel):
    """One message of a chat."""

    parts: list[Part]


class Chat(BaseModel):
    """What useChat sends, as far as it is used here."""

    id: UUID
    messages: list[Message] = Field(min_length=1)


@router.get("/assistant", include_in_schema=False)
async def page() -> FileResponse:
    """Serve the page; `?chat=` in its address says which chat it shows."""
    return FileResponse(PAGE)


@router.post("/api/chat", response_class=EventStreamResponse)
async def ask(chat: Chat) -> Response:
    """Answer the last message of a chat; where the client leaves, the answer goes on."""
    text = " ".join(part.text for part in chat.messages[-1].parts if part.type == "text")
    answer = await chats.start(str(chat.id), typed(text))
    return EventStreamResponse(answer, headers=ui_messages.HEADERS)


@router.get("/api/chat/{id}/stream", response_class=EventStreamResponse)
async def resume(id: UUID) -> Response:
    """Send the last answer of a chat from its start, also what is still to come of it; 204 where there is none."""
    answer = await chats.resume(str(id))
    if answer is None:
        return Response(status_code=204)
    return EventStreamResponse(answer, headers=ui_messages.HEADERS)


@router.delete("/api/chat/{id}/stream", status_code=204)
async def stop(id: UUID) -> None:
    """End the answer that a chat is getting, for all its readers."""
    await chats.stop(str(id))


async def typed(prompt: str) -> AsyncIterator[str]:
    """Yield the words of the answer."""
    for word in words(prompt):
        yield word
        await asyncio.sleep(PACE)
