"""Read a detached answer as `useChat` wants it: whole from its start, or on from a cursor, with its end in parts.

The log has the parts as they were made. How the stream ended is an event of its own there, of which the client knows
nothing: it takes a clean end for a whole answer. So every end but `done` becomes a part that says so.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from streamkit._json import dumps
from streamkit.errors import UnknownStreamError
from streamkit.llm._flow import DONE
from streamkit.llm._ui_machine import Part
from streamkit.sse import EncodedEvent, Event

if TYPE_CHECKING:
    from streamkit.channels import Detached

CURSOR = "streamkit"
"""The key in `providerMetadata` under which a part carries its cursor."""

GAP = "A part of this answer is no longer kept."
FORGOTTEN = "This answer is no longer kept."

# What the client keeps the providerMetadata of, in the very state that it keeps the part in.
_CARRIERS = {
    *("text-start", "text-delta", "text-end", "reasoning-start", "reasoning-delta", "reasoning-end"),
    *("source-url", "source-document", "file", "reasoning-file", "custom"),
}


async def attach(
    streams: Detached, key: str, after: str | None = None, *, cursor: bool = False
) -> AsyncGenerator[Event, None]:
    """Yield the parts of a detached answer, which `stream` has made of its source, up to its end.

        await streams.start(key, ui_messages.stream(tokens(), message_id=key))

        return EventStreamResponse(ui_messages.attach(streams, key), headers=ui_messages.HEADERS)

    It is read in sync views, too. Ask for `streams.status(key)` first where the key may be unknown. How the answer
    ended is the last that is sent: `[DONE]`, after an `abort` part for one that was cancelled and an `error` part for
    one that failed, or that was lost with its process. What the log has dropped is told by an `error` part, too.

    Args:
        streams: The Detached that runs the answer, in this process or another that shares its log.
        key: Of the answer.
        after: A cursor that the client has; only what came after it is sent. A cursor that is not of this answer, or
            that the log cannot go on from, gives all of it, as None does.
        cursor: Send cursors, as `providerMetadata.streamkit.cursor` of each part of text, reasoning, source and file.
            They are for a client with `resumeStreamIsReplay: false`.
    """
    try:
        async with aclosing(_read(streams, key, after)) as events, aclosing(_parts(events, cursor=cursor)) as parts:
            async for part in parts:
                yield part
    except UnknownStreamError:
        yield _encoded({"type": "error", "errorText": FORGOTTEN})
    yield DONE


async def _parts(events: AsyncGenerator[Event, None], *, cursor: bool) -> AsyncGenerator[Event, None]:
    """Yield the parts that the log has, and last what tells of the end."""
    has_failed = False
    async for event in events:
        if event.event is not None:
            for part in _end(event, has_failed=has_failed):
                yield _encoded(part)
            return
        if isinstance(event, EncodedEvent) and event.encoded != DONE.encoded:  # it is sent when the end is known
            has_failed = has_failed or _is_error(event)
            yield _with_cursor(event) if cursor else event.with_id(None)


async def _read(streams: Detached, key: str, after: str | None) -> AsyncGenerator[Event, None]:
    """Yield what the log has; from the start, where it cannot go on after a cursor."""
    events = streams.attach(key, after)
    try:
        first = await anext(events, None)
        if after and first is not None and first.event == "gap":
            await events.aclose()
            events = streams.attach(key)
            first = await anext(events, None)
        if first is not None:
            yield first
        async for event in events:
            yield event
    finally:
        await events.aclose()


def _end(event: Event, *, has_failed: bool) -> list[Part]:
    """Return what tells the client of an end, or of a gap."""
    if event.event == "gap":
        return [{"type": "error", "errorText": GAP}]
    if event.event == "done" or has_failed:
        return []
    if event.event == "cancelled":
        return [{"type": "abort"}]
    return [{"type": "error", "errorText": event.data["error"]}]


def _is_error(event: EncodedEvent) -> bool:
    return b'"error"' in event.encoded and isinstance(event.data, dict) and event.data.get("type") == "error"


def _with_cursor(event: EncodedEvent) -> Event:
    part = event.data
    if not isinstance(part, dict) or part.get("type") not in _CARRIERS:
        return event.with_id(None)
    metadata = {**part.get("providerMetadata", {}), CURSOR: {"cursor": event.id}}
    return _encoded({**part, "providerMetadata": metadata})


def _encoded(part: Part) -> EncodedEvent:
    return EncodedEvent(dumps(part), is_json=True)
