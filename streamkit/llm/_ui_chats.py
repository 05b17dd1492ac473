"""The answers of chats, each a detached stream, found by the id of their chat: what `useChat` resumes and stops by.

Which answer is the last of a chat is an entry of a channel of the chat's own, in the log that has the answers. So every
process that shares the log finds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING
from uuid import uuid4

from streamkit._engine.bodies import discard
from streamkit._engine.stream import Stream
from streamkit.channels._channels import refuse_loop
from streamkit.channels._entry import Entry, read_payload, write_payload
from streamkit.channels._position import MAX_NAME, check_channel
from streamkit.channels._workers import Calls
from streamkit.llm._flow import check_error, run
from streamkit.llm._ui_machine import UIMessage
from streamkit.llm._ui_resume import attach
from streamkit.sse import Event

if TYPE_CHECKING:
    from streamkit._engine.source import Source
    from streamkit.channels import Detached, Status

PREFIX = "chat:"
MAX_ID = MAX_NAME - len(PREFIX)


class Chats:
    """The answers of chats, which go on without a reader and are found again.

        chats = ui_messages.Chats(Detached(SQLiteLog("chats.db")))

        POST   /api/chat              EventStreamResponse(await chats.start(id, tokens(prompt)), headers=HEADERS)
        GET    /api/chat/ID/stream    answer = await chats.resume(id); 204 where it is None
        DELETE /api/chat/ID/stream    await chats.stop(id)

    One chat has one answer at a time. The id of a chat comes from the client and grants nothing: whether this user may
    read that chat, the view has to ask.

    Args:
        streams: What runs the answers. Their keys are the ids of the messages.
        cursor: Send cursors, as `attach` does, for clients with `resumeStreamIsReplay: false`.
        error: As in `stream`.

    Raises:
        TypeError: `error` is no function.
    """

    def __init__(
        self, streams: Detached, *, cursor: bool = False, error: Callable[[Exception], str] | None = None
    ) -> None:
        check_error(error)
        self.streams = streams
        self._calls = Calls(streams.log)
        self._cursor = cursor
        self._error = error

    async def start(self, chat_id: str, parts: object, *, message_id: str | None = None) -> AsyncGenerator[Event, None]:
        """Start the answer to a chat's last message, and return it for the response to the POST.

        The answer before it, where it still runs, is stopped, since nobody could find it any more. Where there is an
        answer of this message id already, as when a request was sent twice, that one is returned.

        Args:
            chat_id: What the client sends as `id`: 1 to 250 bytes in UTF-8.
            parts: Strings and dicts, as for `stream`; run as `Detached.start` runs a source, or closed.
            message_id: Of the answer, which is its key in `streams`; made here where there is none.

        Raises:
            ValueError: The chat's id or the message's cannot be used.
            TypeError: `parts` cannot be streamed, or an id is no text.
            LogUnavailableError: The log did not answer within its timeout; the answer may run, and nobody finds it.
        """
        key, channel, source = self._prepared(chat_id, parts, message_id)
        # As a task: the view may be cancelled, as by a page that is reloaded at once, and the answer is to be found.
        await asyncio.shield(asyncio.get_running_loop().create_task(self._start(key, channel, source)))
        return self._answer(key)

    async def _start(self, key: str, channel: str, source: Source) -> None:
        if await self.streams.start(key, source):
            for before in await self._calls.run(lambda: self._follow(channel, key)):
                await self.streams.cancel(before)

    def start_sync(self, chat_id: str, parts: object, *, message_id: str | None = None) -> AsyncGenerator[Event, None]:
        """Do what `start` does, from sync code; RuntimeError on a running event loop."""
        refuse_loop("start_sync", "start(…)")
        key, channel, source = self._prepared(chat_id, parts, message_id)
        if self.streams.start_sync(key, source):
            for before in self._follow(channel, key):
                self.streams.cancel_sync(before)
        return self._answer(key)

    async def resume(
        self, chat_id: str, after: str | None = None, *, saved: str | None = None
    ) -> AsyncGenerator[Event, None] | None:
        """Return the last answer of a chat, from its start, also where it has ended; None where 204 is to be sent.

        That is where the chat has no answer, or its log has forgotten it; where it has ended and `after` says that the
        client has seen that; and where it has ended and `saved` is its id. To a client that says neither, an answer
        that has ended is sent all the same: whoever was cut off in the middle of it would take 204 for its end.

        Args:
            chat_id: From the path of the request.
            after: The cursor that the client gave, if it did; see `attach`.
            saved: The id of the last message that your database has of this chat, for pages that are rendered from it.

        Raises:
            ValueError: The chat's id cannot be used.
            LogUnavailableError: The log did not answer within its timeout.
        """
        channel = channel_of(chat_id)
        key = await self._calls.run(lambda: self._last(channel))
        if key is None or _is_idle(await self.streams.status(key, after), is_saved=key == saved):
            return None
        return self._answer(key, after)

    def resume_sync(
        self, chat_id: str, after: str | None = None, *, saved: str | None = None
    ) -> AsyncGenerator[Event, None] | None:
        """Do what `resume` does, from sync code; RuntimeError on a running event loop."""
        refuse_loop("resume_sync", "resume(…)")
        key = self._last(channel_of(chat_id))
        if key is None or _is_idle(self.streams.status_sync(key, after), is_saved=key == saved):
            return None
        return self._answer(key, after)

    async def stop(self, chat_id: str) -> bool:
        """End the last answer of a chat for all its readers, who get an `abort` part; return whether it was running.

        `useChat`'s own `stop()` only closes its connection.

        Args:
            chat_id: From the path of the request.

        Raises:
            ValueError: The chat's id cannot be used.
            LogUnavailableError: The log did not answer within its timeout.
        """
        channel = channel_of(chat_id)
        key = await self._calls.run(lambda: self._last(channel))
        return key is not None and await self.streams.cancel(key)

    def stop_sync(self, chat_id: str) -> bool:
        """Do what `stop` does, from sync code; RuntimeError on a running event loop."""
        refuse_loop("stop_sync", "stop(…)")
        key = self._last(channel_of(chat_id))
        return key is not None and self.streams.cancel_sync(key)

    def _prepared(self, chat_id: object, parts: object, message_id: str | None) -> tuple[str, str, Source]:
        key = uuid4().hex if message_id is None else message_id
        source = run(UIMessage(key, self._error), parts)
        try:
            return key, channel_of(chat_id), source
        except BaseException:
            discard(Stream(source))
            raise

    def _answer(self, key: str, after: str | None = None) -> AsyncGenerator[Event, None]:
        return attach(self.streams, key, after, cursor=self._cursor)

    def _follow(self, channel: str, key: str) -> list[str]:
        """Make an answer the last of its chat; return those whose place it takes.

        They are more than one where a process beside this one has started an answer since the chat was looked at.
        """
        log, before = self.streams.log, self._last_entry(channel)
        own = log.append(channel, write_payload(key, None)).position
        since = log.page(channel, None if before is None else before.position).entries
        return [_key(entry) for entry in (before, *since) if entry is not None and entry.position < own]

    def _last(self, channel: str) -> str | None:
        entry = self._last_entry(channel)
        return None if entry is None else _key(entry)

    def _last_entry(self, channel: str) -> Entry | None:
        log = self.streams.log
        if not log.exists(channel):  # looked at otherwise, it would be made
            return None
        last = log.last(channel)
        return None if last is None or last.payload is None else last


def _key(entry: Entry) -> str:
    return str(read_payload(entry.payload or b"", "").data)


def channel_of(chat_id: object) -> str:
    """Return the channel of a chat.

    Raises:
        TypeError: The id is not text.
        ValueError: It is too long or empty, or has a lone surrogate.
    """
    if not isinstance(chat_id, str):
        raise TypeError(f"chat_id must be a str, not {chat_id!r:.200}")
    try:
        if chat_id:
            return check_channel(PREFIX + chat_id)
    except ValueError:
        pass
    raise ValueError(f"chat_id must have 1 to {MAX_ID} bytes in UTF-8, and this has not: {chat_id!r:.300}")


def _is_idle(status: Status, *, is_saved: bool) -> bool:
    return status.code != 200 or (is_saved and status.state != "running")
