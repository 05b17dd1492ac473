"""The order of a UI message stream: strings and parts in, the parts of one message out. Pure.

A message is `start`, steps, `finish`, `[DONE]`. Within a step text stands between a start and an end of the same id,
and so does reasoning. The client fails on a delta outside of them, and takes a clean end for a whole answer. So the
order is made here for strings, and for ready parts as far as there is one way to make it; else the part is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from streamkit._json import text_bytes
from streamkit.errors import EncodeError
from streamkit.llm._flow import DONE, Protocol, general, told
from streamkit.llm._ui_parts import DATA, check_fields, type_of
from streamkit.sse import EncodedEvent

_TERMINAL = ("finish", "abort", "error")
_OUTSIDE = ("start", "message-metadata", "steering-message", "start-step", "finish-step", "reset-step", *_TERMINAL)

Part = dict[str, Any]


class UIMessage(Protocol):
    """The parts of one message.

    Args:
        message_id: Sent with `start`.
        error: Given an exception, returns what the client is told of it.
    """

    def __init__(self, message_id: str | None, error: Callable[[Exception], str] | None) -> None:
        self._message_id = message_id
        self._error = error
        self._is_begun = self._in_step = False
        self._last: str | None = None  # the type after which nothing may come
        self._run: tuple[str, str] | None = None  # kind and id of the text that strings have opened
        self._runs = 0
        self._open: dict[tuple[str, str], None] = {}  # kind and id of what ready parts have opened, in order
        self._calls: set[str] = set()  # ids of the tool calls whose input has begun

    def feed(self, part: object, index: int) -> Iterable[Part]:
        """Give a string as text, or a part in its order; see `Protocol`."""
        if isinstance(part, str):
            self._refuse_after_end("str")
            return self._text("text", str.__str__(part))  # a subclass may format itself in another way
        if not isinstance(part, dict):
            raise EncodeError(type(part).__name__, f"a part is a str or a dict with a type, not {part!r:.80}")
        kind = type_of(part)
        self._refuse_after_end(kind)
        if kind in ("text-delta", "reasoning-delta") and "id" not in part:
            return self._unnamed(kind, part)
        check_fields(kind, part)
        return self._ready(kind, {"type": kind, **part})

    def _refuse_after_end(self, kind: str) -> None:
        if self._last is not None:
            raise EncodeError(kind, f"nothing may come after {self._last!r}")

    def end(self) -> Iterator[object]:
        """Give what the message lacks, and the mark of its end."""
        if self._last is None:
            yield from self._begin()
            yield from self._end_step()
            yield {"type": "finish"}
        yield DONE

    def failed(self, error: Exception) -> Iterator[object]:
        """Give what the app has its client told, or which part was wrong, but not what it held; see `Protocol`."""
        if self._last not in ("error", "abort"):
            text = told(error, self._error)
            yield {"type": "error", "errorText": text if isinstance(text, str) else _general(error)}
        yield DONE

    # -- text whose start and end are added ----------------------------------------------------------------------

    def _unnamed(self, kind: str, part: Part) -> Iterator[Part]:
        check_fields(kind, {**part, "id": ""})
        more = {name: value for name, value in part.items() if name not in ("type", "delta")}
        yield from self._text(kind.partition("-")[0], part["delta"], more)

    def _text(self, kind: str, text: str, more: Part | None = None) -> Iterator[Part]:
        if not text:
            return
        yield from self._begin_step()
        if self._run is None or self._run[0] != kind:
            yield from self._close_run()
            self._run = (kind, self._new_id(kind))
            yield {"type": f"{kind}-start", "id": self._run[1]}
        yield {"type": f"{kind}-delta", "id": self._run[1], "delta": text, **(more or {})}

    def _new_id(self, kind: str) -> str:
        while True:
            self._runs += 1
            id = f"{kind}-{self._runs}"
            if (kind, id) not in self._open:  # a ready part may have taken it
                return id

    def _close_run(self) -> Iterator[Part]:
        if self._run is not None:
            kind, id = self._run
            self._run = None
            yield {"type": f"{kind}-end", "id": id}

    # -- parts that are ready ------------------------------------------------------------------------------------

    def _ready(self, kind: str, part: Part) -> Iterator[Part]:
        if kind == "start":
            yield self._start(part)
            return
        self._check_order(kind, part)
        yield from self._begin()
        if not _is_aside(kind, part):
            yield from self._close_run()
        if kind == "finish":
            yield from self._end_step()
        elif kind == "start-step" and self._in_step:
            yield {"type": "finish-step"}
        elif kind not in _OUTSIDE and not kind.startswith(DATA):
            yield from self._begin_step()
        self._note(kind, part)
        yield part

    def _start(self, part: Part) -> Part:
        if self._is_begun:
            raise EncodeError("start", "it must come first, and once; the message has begun")
        given = part.get("messageId", self._message_id)
        if self._message_id is not None and given != self._message_id:
            raise EncodeError("start", f"its messageId is {given!r:.80}, and the stream has {self._message_id!r:.80}")
        self._is_begun = True
        return part if given is None else {**part, "messageId": given}

    def _check_order(self, kind: str, part: Part) -> None:
        """Refuse a part whose predecessor is missing."""
        what, _, step = kind.partition("-")
        if what in ("text", "reasoning") and step in ("start", "delta", "end"):
            is_open = (what, part["id"]) in self._open or (what, part["id"]) == self._run
            if step == "start" and is_open:
                raise EncodeError(kind, f"the {what} {part['id']!r:.80} is open already")
            if step != "start" and (what, part["id"]) not in self._open:
                raise EncodeError(
                    kind, f"there is no open {what} with the id {part['id']!r:.80}: send {what}-start first"
                )
        elif kind == "tool-input-delta" and part["toolCallId"] not in self._calls:
            raise EncodeError(kind, f"no tool-input-start has come for the toolCallId {part['toolCallId']!r:.80}")
        elif kind == "finish-step" and not self._in_step:
            raise EncodeError(kind, "no step is open")

    def _note(self, kind: str, part: Part) -> None:
        """Remember what a part has opened or closed."""
        what, _, step = kind.partition("-")
        if kind in _TERMINAL:
            self._last = kind
        elif kind in ("start-step", "finish-step"):
            self._in_step = kind == "start-step"
        elif kind == "reset-step":
            self._open.clear()
            self._calls.clear()
        elif kind == "tool-input-start":
            self._calls.add(part["toolCallId"])
        elif what in ("text", "reasoning") and step == "start":
            self._open[what, part["id"]] = None
        elif what in ("text", "reasoning") and step == "end":
            del self._open[what, part["id"]]

    # -- the message and its steps -------------------------------------------------------------------------------

    def _begin(self) -> Iterator[Part]:
        if not self._is_begun:
            self._is_begun = True
            yield {"type": "start"} if self._message_id is None else {"type": "start", "messageId": self._message_id}

    def _begin_step(self) -> Iterator[Part]:
        yield from self._begin()
        if not self._in_step:
            self._in_step = True
            yield {"type": "start-step"}

    def _end_step(self) -> Iterator[Part]:
        yield from self._close_run()
        for what, id in self._open:
            yield {"type": f"{what}-end", "id": id}
        self._open.clear()
        if self._in_step:
            self._in_step = False
            yield {"type": "finish-step"}


def _general(error: Exception) -> str:
    if isinstance(error, EncodeError) and error.index is not None:
        return f"The answer could not be completed: part {error.index}, {error.item_type!r:.80}, cannot be sent."
    return general(error)


def _is_aside(kind: str, part: Part) -> bool:
    """Tell whether a part has no place among those that are shown, so that the text around it stays one.

    Before an error or an abort a text is left open too: the client sees by it that the text is not complete.
    """
    return kind in ("message-metadata", "error", "abort") or (kind.startswith(DATA) and part.get("transient") is True)


class PlainText(Protocol):
    """The text of a message and nothing else, for the AI SDK's text stream. It has no form for an error."""

    def feed(self, part: object, index: int) -> Iterable[EncodedEvent]:
        """Give what a string or a text-delta adds to the text."""
        if isinstance(part, str):
            return [EncodedEvent(text_bytes(part), is_json=False)]
        if not isinstance(part, dict):
            raise EncodeError(type(part).__name__, f"a part is a str or a dict with a type, not {part!r:.80}")
        kind = type_of(part)
        if kind in ("error", "abort"):
            raise EncodeError(kind, f"a text stream has no form for it; got {part!r:.80}")
        check_fields(kind, {"id": "", **part} if kind == "text-delta" else part)
        return [EncodedEvent(text_bytes(part["delta"]), is_json=False)] if kind == "text-delta" else []

    def end(self) -> Iterable[object]:
        """Give nothing: the end of the body is the end of the text."""
        return ()

    def failed(self, error: Exception) -> Iterable[object]:
        """Give nothing, so that the connection is cut."""
        return ()
