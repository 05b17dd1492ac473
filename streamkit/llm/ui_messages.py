"""The AI SDK's UI message stream, version 1, for `useChat`: strings and parts in, the parts of one message out.

    from streamkit.llm import ui_messages

    return EventStreamResponse(ui_messages.stream(tokens()), headers=ui_messages.HEADERS)

A source yields strings, the text of the answer, and dicts, parts of any type that the client knows. What may stand
where is in `docs/ui-messages.md`. The wire has data lines only: the client reads no ids, event types or `retry`.

For answers that go on when the page is closed, and that `useChat({ resume: true })` finds again, see `Chats`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from streamkit.llm._flow import check_error, run
from streamkit.llm._ui_chats import Chats
from streamkit.llm._ui_machine import PlainText, UIMessage
from streamkit.llm._ui_resume import attach

if TYPE_CHECKING:
    from streamkit._engine.source import Source

__all__ = ["HEADERS", "Chats", "attach", "stream", "text_stream"]


def __dir__() -> list[str]:
    return __all__


HEADERS = {"x-vercel-ai-ui-message-stream": "v1"}
"""What the protocol asks a response to have besides streamkit's own headers; give it as `headers=`."""


def stream(parts: object, *, message_id: str | None = None, error: Callable[[Exception], str] | None = None) -> Source:
    """Return the UI message stream of one answer, for an EventStreamResponse.

    A string becomes text; around a run of strings come `text-start` and `text-end`, around the whole `start`,
    `start-step`, `finish-step`, `finish` and `[DONE]`. A dict is sent as it is, between them: it ends the text before
    it, unless it is metadata or transient data, and its own `start`, `start-step`, `finish` and so on are not doubled.
    A `text-delta` or `reasoning-delta` without an id is treated as a string is.

    Args:
        parts: An iterable or async iterable of strings and dicts. It is closed when the client leaves.
        message_id: The id of the message; the client makes one where there is none. An answer that can be resumed needs
            it, so that a replay is known to be the same message.
        error: Given the exception of a source that failed, returns what the client is told; without it, and where it
            returns no text, a general sentence. The exception is logged.

    Raises:
        TypeError: `parts` cannot be streamed, or an option is of the wrong kind.

    A part that the client would fail on, of unknown type, without a field, or out of order, fails the stream with an
    EncodeError that names it and its index. `useChat` has a failure as its `error`: the text comes as an `error` part,
    then `[DONE]`.
    """
    if message_id is not None and not (isinstance(message_id, str) and message_id):
        raise TypeError(f"message_id must be a str that is not empty, or None; not {message_id!r:.80}")
    check_error(error)
    return run(UIMessage(message_id, error), parts)


def text_stream(parts: object) -> Source:
    """Return the text of an answer alone, for a TextStreamResponse and the AI SDK's `TextStreamChatTransport`.

    Strings and the deltas of `text-delta` parts are sent; other parts are checked and left out. There is no form for an
    error and no mark of the end, so a source that fails cuts the connection.

    Args:
        parts: As for `stream`.

    Raises:
        TypeError: `parts` cannot be streamed.
    """
    return run(PlainText(), parts)
