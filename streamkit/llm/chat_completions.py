"""OpenAI's chat completions as an event stream, for `OpenAI(base_url=…)` and every client that speaks like it.

    @app.post("/v1/chat/completions")
    async def completions(body: dict[str, Any]) -> Response:
        return EventStreamResponse(chat_completions.stream(tokens(body["messages"]), model=body["model"]))

- The answer begins with the role, ends with a finish reason and then `[DONE]`; what the source gives stands between.
- Whole chunks of a server upstream are sent on as they are: nothing is added, and what was unset stays unset.
- A source that fails, or is cut, becomes OpenAI's error object, for which the SDKs raise `APIError`; `[DONE]` does not
  follow, so that nobody takes what there is for the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import uuid4

from streamkit._engine.register import logger
from streamkit._engine.source import Source
from streamkit._json import as_text, dumps
from streamkit.errors import EncodeError
from streamkit.llm._flow import DONE, Protocol, check_error, general, run, told
from streamkit.llm._upstream import UpstreamError
from streamkit.sse import Event

__all__ = ["error_event", "stream"]


def __dir__() -> list[str]:
    return __all__


_Told = str | Mapping[str, Any] | None

_DELTA = ("content", "tool_calls", "reasoning", "reasoning_content", "refusal", "role", "function_call", "audio")


def stream(
    source: object,
    *,
    model: str,
    include_usage: bool = False,
    id: str | None = None,
    created: int | None = None,
    error: Callable[[Exception], _Told] | None = None,
) -> Source:
    """Return the events of a chat completion, to be given to an `EventStreamResponse` of any adapter.

    Args:
        source: An iterable or async iterable of parts:

            - text: a token, sent as the delta `{"content": token}`
            - a dict that is a delta: `{"tool_calls": [...]}`, `{"content": ...}`, `{"reasoning": ...}`
            - `{"finish_reason": "length"}`, by itself or within a delta; without one it is `"tool_calls"` where there
              were any, else `"stop"`. No delta may follow.
            - `{"usage": {...}}`, at any time; sent where the client wants it
            - a whole chunk, a dict with `choices`, or an object of an SDK with a `model_dump` method

            The stream that `client.chat.completions.create(stream=True)` returns is such a source, sync or async.
            It is closed at once when the client leaves.
        model: The model's name in the chunks that are made here.
        include_usage: Whether the client asked for its usage, by `stream_options` in its request. Then every chunk made
            here has `usage`, null but in an extra one before the end. None is made up where the source gives none.
        id: The id of the completion; a random one by default.
        created: Its time in seconds since 1970; now by default.
        error: Given the exception that ends the stream, returns what the client is told: a message, or fields of the
            error object; None for the general words, which say nothing of the exception.

    Raises:
        TypeError: `source` cannot be streamed, or an option is of the wrong kind.
    """
    if not isinstance(model, str):
        raise TypeError(f"model must be the name that clients are shown, a str, not {model!r:.200}")
    if not (created is None or (isinstance(created, int) and not isinstance(created, bool))):
        raise TypeError(f"created must be whole seconds since 1970, an int, not {created!r:.200}")
    if not isinstance(id, str | None):
        raise TypeError(f"id must be a str, not {id!r:.200}")
    check_error(error)
    head = {
        "id": f"chatcmpl-{uuid4().hex}" if id is None else id,
        "object": "chat.completion.chunk",
        "created": int(time.time()) if created is None else created,
        "model": model,
    }
    return run(_Completion(head, include_usage=include_usage, error=error), source)


def error_event(error: Exception) -> Event:
    """Return the general error object, for `on_error=chat_completions.error_event` of a response."""
    return Event(_error_object(error, None))


class _Completion(Protocol):
    """One completion: what was said of it so far decides what may follow."""

    def __init__(
        self, head: dict[str, Any], *, include_usage: bool, error: Callable[[Exception], _Told] | None
    ) -> None:
        self._head = head
        self._include_usage = include_usage
        self._choose = error
        self._begun = False
        self._finish: str | None = None
        self._finished_at: int | None = None
        self._calls_tools = False
        self._usage: Any = None
        self._is_relayed = False
        self._open: set[object] = set()  # the choices of chunks from upstream that have no finish reason yet

    def feed(self, part: object, index: int) -> Iterable[object]:
        """Give the chunks of one part."""
        text = as_text(part)
        if text is not None:
            return self._delta({"content": text}, part, index)
        value = _as_dict(part)
        if "choices" in value:
            return self._relayed(value, index)
        if "error" in value:
            raise UpstreamError(f"sent an error as item {index}: {value['error']!r:.500}")
        usage, finish = value.pop("usage", None), value.pop("finish_reason", None)
        if not isinstance(finish, str | None):
            raise EncodeError(type(part).__name__, f"finish_reason must be a str, not {finish!r:.200}")
        given = self._delta(value, part, index) if value or finish is not None else ()
        self._usage = self._usage if usage is None else usage
        if finish is not None:
            self._finish, self._finished_at = finish, index
        return given

    def end(self) -> Iterable[object]:
        """Give the finish reason, the usage and the mark.

        Raises:
            UpstreamError: The chunks of a server upstream broke off.
        """
        if self._is_relayed and self._open:
            raise UpstreamError("ended without a finish reason: its answer was cut")
        if not self._is_relayed or self._finish is not None:
            yield from self._beginning()
            yield self._chunk({}, self._finish or ("tool_calls" if self._calls_tools else "stop"))
        if self._include_usage and self._usage is not None:
            yield {**self._head, "choices": [], "usage": self._usage}
        yield DONE

    def failed(self, error: Exception) -> Iterable[object]:
        """Give the error object, and no mark."""
        return [_error_object(error, self._choose)]

    # -- chunks made here ----------------------------------------------------------------------------------------

    def _delta(self, delta: dict[str, Any], part: object, index: int) -> Iterable[object]:
        if self._finished_at is not None:
            finish = f"item {self._finished_at} has the finish reason, after which only usage may follow"
            raise EncodeError(type(part).__name__, finish)
        if not delta:
            return ()
        _check_delta(delta, type(part).__name__)
        self._calls_tools = self._calls_tools or bool(delta.get("tool_calls"))
        if "role" in delta:
            self._begun = True
        return [*self._beginning(), self._chunk(delta)]

    def _beginning(self) -> Iterable[object]:
        if not self._begun:
            self._begun = True
            yield self._chunk({"role": "assistant", "content": ""})

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        chunk = {**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        return {**chunk, "usage": None} if self._include_usage else chunk

    # -- chunks from upstream ------------------------------------------------------------------------------------

    def _relayed(self, chunk: dict[str, Any], index: int) -> Iterable[object]:
        """Send a chunk on, without the usage where the client did not ask for it."""
        choices = chunk["choices"]
        if not isinstance(choices, list | tuple) or not all(isinstance(choice, Mapping) for choice in choices):
            raise EncodeError("dict", f"the choices of a chunk must be a list of dicts, not {choices!r:.200}")
        if not self._is_relayed:
            self._is_relayed = self._begun = True
            self._open.add(0)
        for choice in choices:
            number = choice.get("index", 0)
            (self._open.add if choice.get("finish_reason") is None else self._open.discard)(number)
        self._finished_at = None if self._open else index
        if self._include_usage or "usage" not in chunk:
            return [chunk]
        return [{name: value for name, value in chunk.items() if name != "usage"}] if choices else []


def _as_dict(part: object) -> dict[str, Any]:
    value = _plain(part)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(part, bytes | bytearray | memoryview):
        raise EncodeError(type(part).__name__, "a token must be text; decode it to str first")
    raise EncodeError(type(part).__name__, "a part must be text, a dict, or a chunk of an SDK")


def _plain(value: object) -> Any:
    """Return a value with the objects of an SDK as they were on the wire: fields that were not there stay away."""
    if isinstance(value, Mapping):
        return {name: _plain(field) for name, field in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    dump = getattr(value, "model_dump", None)
    return dump(mode="json", exclude_unset=True) if callable(dump) and not isinstance(value, type) else value


def _check_delta(delta: Mapping[str, Any], kind: str) -> None:
    if "type" in delta or not any(name in delta for name in _DELTA):
        raise EncodeError(kind, f"{delta!r:.200} is no chunk, and no delta: that has no type, and one of {_DELTA}")
    if not isinstance(delta.get("content"), str | None):
        raise EncodeError(kind, f"content must be a str or None, not {delta['content']!r:.200}")
    calls = delta.get("tool_calls") or []
    if not isinstance(calls, list):
        raise EncodeError(kind, f"tool_calls must be a list, not {calls!r:.200}")
    for call in calls:
        if not isinstance(call, Mapping) or not isinstance(call.get("index"), int):
            raise EncodeError(kind, f"each of tool_calls needs an index, by which its pieces are joined: {call!r:.200}")


def _error_object(error: Exception, choose: Callable[[Exception], _Told] | None) -> dict[str, Any]:
    general_words = {"message": general(error), "type": "server_error", "code": None, "param": None}
    chosen = told(error, choose)
    if chosen is None:
        return {"error": general_words}
    try:
        fields = {**general_words, **({"message": chosen} if isinstance(chosen, str) else chosen)}
        dumps(fields)
    except (TypeError, EncodeError):
        logger.exception("error must return a str or a dict, not %.200r; the client gets the general words", chosen)
        return {"error": general_words}
    return {"error": fields}
