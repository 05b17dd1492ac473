"""The AI SDK's own reader over our streams: which parts it takes, what text it shows, and how it resumes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamkit import EventStream, TextStream
from streamkit.channels import Detached, MemoryLog
from streamkit.errors import EncodeError, InBandError
from streamkit.llm import ui_messages
from streamkit.llm._ui_parts import _ANYTHING, _FIELDS, _FIELDS_OF_DATA, DATA, check_fields
from tests.llm.test_ui_messages import CHART, ORDERS, PROGRESS, REFUSED, URL, sent
from tests.rig.node import run_node
from tests.rig.requirements import needs

pytestmark = [pytest.mark.servers, needs("node"), pytest.mark.xdist_group("node")]

PROGRAM = Path(__file__).parent / "ui_client.mjs"
FIELDS = {**_FIELDS, DATA: _FIELDS_OF_DATA}
SAMPLES: dict[str, object] = {
    **dict.fromkeys(("approved", "dynamic", "isAutomatic", "preliminary", "providerExecuted", "transient"), True),
    "citations": [],
    "finishReason": "stop",
    "inputEncoding": "json",
    "parts": [],
    "providerMetadata": {"x": {"y": 1}},
    "toolMetadata": {"x": {"y": 1}},
}
NASTY = [
    "\n",
    "\n\n",
    " ",
    " a ",
    "",
    "\r\n",
    "\u2028\u2029\x85",
    "[DONE]",
    "data: x\n\n",
    "\N{PILE OF POO}",
    "\0",
    '"\\',
]

Ask = Callable[..., Any]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Return what asks the program to do one of its tasks."""

    def ask(name: str, **task: Any) -> Any:
        file = tmp_path / "task.json"
        file.write_text(json.dumps({"name": name, **task}))
        return json.loads(run_node(PROGRAM, str(file)))

    return ask


def wire(parts: Any, **options: Any) -> str:
    """Return the body of a response."""
    format = EventStream()
    flow: Any = ui_messages.stream(parts, **options)
    body = b""
    try:
        for event in flow:
            body += format.encode(event)
    except InBandError as exc:
        body += b"".join(map(format.encode, exc.items))
    return body.decode()


def test_types_and_needed_fields_are_those_of_the_client(ask: Ask) -> None:
    """No more and no fewer: one that it has not would end the chat with an error."""
    known = {kind: {name for name, is_needed, _ in fields if is_needed} for kind, fields in FIELDS.items()}
    assert {row["type"]: set(row["fields"]) for row in ask("types")} == known


def test_client_takes_what_we_take_and_refuses_what_we_refuse(ask: Ask) -> None:
    """Each type with all its fields, without the optional ones, and with each field None in turn."""
    parts: list[dict[str, object]] = []
    for kind, fields in FIELDS.items():
        part = {"type": kind if kind != DATA else "data-x", **{name: SAMPLES.get(name, "x") for name, _, _ in fields}}
        parts += [part, {"type": part["type"], **{name: part[name] for name, is_needed, _ in fields if is_needed}}]
        parts += [{**part, name: None} for name, _, _ in fields if name not in _ANYTHING]
        parts += [{**part, name: 7} for name, _, check in fields if check is not None]

    def is_taken(part: dict[str, Any]) -> bool:
        try:
            check_fields(part["type"], part)
        except EncodeError:
            return False
        return True

    ours = [is_taken(part) for part in parts]
    differing = [
        part for part, mine, theirs in zip(parts, ours, ask("parts", parts=parts), strict=True) if mine != theirs
    ]
    assert differing == []
    assert 0 < sum(ours) < len(ours)


def test_text_is_exact(ask: Ask) -> None:
    """Every order that is kept is read without an error, and the text is that of the strings."""
    cases: list[list[Any]] = [
        parts for parts, _ in ORDERS.values() if {"type": "error", "errorText": "no"} not in parts
    ]
    cases += [NASTY, ["a", *NASTY, CHART, *NASTY, PROGRESS, *NASTY, URL, "z"]]
    cases = [case for case in cases if not any(isinstance(part, dict) and "toolCallId" in part for part in case)]
    for case, got in zip(cases, ask("messages", bodies=[wire(case) for case in cases]), strict=True):
        deltas = [part["delta"] for part in sent(case)[:-1] if part["type"] == "text-delta"]
        if {"type": "reset-step"} in case:
            deltas = deltas[1:]
        assert (got["errors"], got["text"]) == ([], "".join(deltas)), case


def test_refused_part_is_an_error_of_the_client(ask: Ask) -> None:
    """With the text that says which part it was, behind what came before."""
    bodies = [wire(["a", part], message_id="m") for part, _, _ in REFUSED.values()]
    for (_, name, _), got in zip(REFUSED.values(), ask("messages", bodies=bodies), strict=True):
        assert got["errors"] == [f"The answer could not be completed: part 1, {name!r}, cannot be sent."]
        assert (got["text"], got["id"]) == ("a", "m")


def test_text_stream_is_exact(ask: Ask) -> None:
    """As TextStreamChatTransport reads it."""
    cases: list[list[Any]] = [["a", "b"], NASTY, ["a", CHART, URL, "b"]]
    format, bodies = TextStream(), []
    for case in cases:
        flow: Any = ui_messages.text_stream(case)
        bodies.append(b"".join(map(format.encode, flow)).decode())
    assert ask("texts", bodies=bodies) == ["".join(part for part in case if isinstance(part, str)) for case in cases]


async def replays(parts: list[Any], *, cursor: bool) -> tuple[list[str], dict[str, list[str]]]:
    """Return the events of an answer, and those after each cursor."""
    streams, format = Detached(MemoryLog()), EventStream()
    await streams.start("m", ui_messages.stream(parts, message_id="m"))

    async def read(after: str | None) -> list[str]:
        return [format.encode(event).decode() async for event in ui_messages.attach(streams, "m", after, cursor=cursor)]

    whole = await read(None)
    carried = [json.loads(event[6:]) for event in whole[:-1]]
    cursors = [part["providerMetadata"]["streamkit"]["cursor"] for part in carried if "providerMetadata" in part]
    return whole, {after: await read(after) for after in cursors}


@pytest.mark.parametrize("continues", [False, True], ids=["replay", "continuation"])
def test_chat_that_is_cut_anywhere_has_the_text_once(ask: Ask, continues: bool) -> None:
    """After each event in turn; what had arrived when the connection broke may have been shown or not."""
    parts = ["one ", "two", {"type": "reasoning-delta", "delta": "hm"}, URL, " three", "\n", "four"]
    events, rests = asyncio.run(replays(parts, cursor=continues))
    results = ask("cuts", events=events, rests=rests, continues=continues)
    assert len(results) == 2 * len(events)
    for result in results:
        assert result["status"] == "error", result
        assert (result["text"], result["count"], result["end"]) == ("one two three\nfour", 2, "ready"), result
    assert any("?after=" in result["asked"][1] for result in results) == continues
    assert max(result["cutAt"] for result in results) == len("one two three\nfour")
