"""The parts of the AI SDK's UI message stream, version 1: which types there are, and which fields each must have.

The client checks every part against this list, and one that fails the check ends the answer with an error that names
neither the part nor its place. So the same is checked here, before anything is sent. Fields that no row names may be
sent, as the client ignores them. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamkit.errors import EncodeError

DATA = "data-"
"""What the types of an app's own parts begin with."""

FINISH_REASONS = ("stop", "length", "content-filter", "tool-calls", "error", "interrupted", "other")

_METADATA = "providerMetadata?"
_CALL = f"toolCallId toolName title? providerExecuted? dynamic? {_METADATA} toolMetadata?"
_RESULT = f"toolCallId providerExecuted? dynamic? {_METADATA} toolMetadata?"

# The fields of each type; `?` marks one that may be left out.
_PARTS = {
    "start": "messageId? messageMetadata?",
    "start-step": "",
    "finish-step": "",
    "reset-step": "",
    "finish": "finishReason? messageMetadata?",
    "abort": "reason?",
    "error": "errorText",
    "message-metadata": "messageMetadata",
    "text-start": f"id {_METADATA}",
    "text-delta": f"id delta {_METADATA}",
    "text-end": f"id citations? {_METADATA}",
    "reasoning-start": f"id {_METADATA}",
    "reasoning-delta": f"id delta {_METADATA}",
    "reasoning-end": f"id {_METADATA}",
    "tool-input-start": f"{_CALL} inputEncoding?",
    "tool-input-delta": "toolCallId inputTextDelta",
    "tool-input-available": f"{_CALL} input",
    "tool-input-error": f"{_CALL} input errorText",
    "tool-approval-request": "approvalId toolCallId reason? isAutomatic? signature?",
    "tool-approval-response": f"approvalId approved reason? providerExecuted? {_METADATA}",
    "tool-output-available": f"{_RESULT} output preliminary?",
    "tool-output-error": f"{_RESULT} errorText",
    "tool-output-denied": "toolCallId",
    "source-url": f"sourceId url title? {_METADATA}",
    "source-document": f"sourceId mediaType title filename? {_METADATA}",
    "file": f"url mediaType {_METADATA}",
    "reasoning-file": f"url mediaType {_METADATA}",
    "custom": f"kind {_METADATA}",
    "steering-message": "id parts",
}
_DATA_FIELDS = "data id? transient?"


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


_Check = tuple[Callable[[Any], bool], str]

_BOOL, _DICT, _LIST, _TEXT = (
    (_is_bool, "true or false"),
    (_is_dict, "a dict"),
    (_is_list, "a list"),
    (_is_text, "a str"),
)

# A field has the same meaning wherever it stands; what is not named here is text, or anything that is JSON.
_KINDS: dict[str, _Check] = {
    **dict.fromkeys(("approved", "dynamic", "isAutomatic", "preliminary", "providerExecuted", "transient"), _BOOL),
    **dict.fromkeys(("providerMetadata", "toolMetadata"), _DICT),
    **dict.fromkeys(("citations", "parts"), _LIST),
    "finishReason": (FINISH_REASONS.__contains__, f"one of {', '.join(FINISH_REASONS)}"),
    "inputEncoding": (("json", "text").__contains__, "json or text"),
}
_ANYTHING = {"data", "input", "output", "messageMetadata"}


def _fields(names: str) -> list[tuple[str, bool, _Check | None]]:
    """Return name, whether it is required, and the check of each field of a row."""
    bare = [(name.removesuffix("?"), not name.endswith("?")) for name in names.split()]
    return [(name, required, None if name in _ANYTHING else _KINDS.get(name, _TEXT)) for name, required in bare]


_FIELDS = {kind: _fields(names) for kind, names in _PARTS.items()}
_FIELDS_OF_DATA = _fields(_DATA_FIELDS)


def type_of(part: dict[str, Any]) -> str:
    """Return the type of a part.

    Raises:
        EncodeError: It has none, or one that the client does not know and so fails on.
    """
    kind = part.get("type")
    if isinstance(kind, str) and (kind in _FIELDS or kind.startswith(DATA)):
        return kind
    if "type" not in part:
        raise EncodeError("dict", f'a part has a "type", and this one has the keys {list(part)!r:.200}')
    raise EncodeError(str(kind)[:80], "the UI message stream has no part of this type; your own begin with data-")


def check_fields(kind: str, part: dict[str, Any]) -> None:
    """Look whether a part has what its type needs.

    Raises:
        EncodeError: A field is missing or is of the wrong kind; None is, too, where a field may be left out.
    """
    for name, required, check in _FIELDS.get(kind, _FIELDS_OF_DATA):
        if name not in part:
            if required:
                raise EncodeError(kind, f"it needs the field {name!r}")
        elif check is not None and not check[0](part[name]):
            raise EncodeError(kind, f"its {name} must be {check[1]}, not {part[name]!r:.80}")
