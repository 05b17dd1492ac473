"""docs/ui-messages.md: its blocks run as they stand there, the views by Flask and the page's script by Node."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from streamkit import EventDecoder
from streamkit.channels import Log
from streamkit.channels._ends import LOST
from streamkit.llm import ui_messages
from streamkit.llm._ui_resume import GAP
from tests.rig.node import run_node, version
from tests.rig.requirements import needs
from tests.test_how_to import BLOCK, run

TEXT = (Path(__file__).parents[1] / "docs" / "ui-messages.md").read_text(encoding="utf-8")
PYTHON = BLOCK.findall(TEXT)
SCRIPTS = re.findall(r"^```js\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
(EFFECT,) = re.findall(r"^```jsx\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
CHAT = Path(__file__).parents[1] / "examples" / "flask" / "assistant" / "main.jsx"

# Prints, for each body, how a chat with the page's transport ends.
ENDS = """
import { readFileSync } from "node:fs";
import { Chat } from "@ai-sdk/react";
for (const body of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  const transport = new WholeChatTransport({ fetch: async () => new Response(body) });
  let end;
  const chat = new Chat({ transport, onFinish: (how) => (end = how) });
  await chat.sendMessage({ text: "?" });
  const { isDisconnect } = end;
  const lost = chat.error instanceof TypeError;
  console.log(JSON.stringify({ status: chat.status, lost, isDisconnect, cursor: cursorOf(chat.lastMessage) }));
}
"""

Names = dict[str, Any]


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """Run the blocks in a directory of their own; return their names."""
    monkeypatch.chdir(tmp_path)
    names = run(*PYTHON)
    yield names
    names["streams"].log.close()


def sent(prompt: str, chat: str = "c") -> dict[str, Any]:
    """Return what useChat sends."""
    return {"id": chat, "messages": [{"role": "user", "parts": [{"type": "text", "text": prompt}]}]}


def parts(body: bytes) -> list[Any]:
    """Return the parts of a body, which ends as the protocol says."""
    *events, done = EventDecoder().feed(body)
    assert done.data == "[DONE]"
    return [json.loads(event.data) for event in events]


def text(body: bytes) -> str:
    """Return the text that a client shows."""
    return "".join(part["delta"] for part in parts(body) if part["type"] == "text-delta")


def test_answer_is_streamed(names: Names) -> None:
    """With the header of the protocol."""
    reply = names["app"].test_client().post("/api/answer", json=sent("Why?"))
    assert text(reply.data) == "You asked:\nWhy?"
    assert reply.headers["x-vercel-ai-ui-message-stream"] == "v1"


def test_parts_of_the_page_are_in_order(names: Names) -> None:
    """Nothing of the source's own is doubled."""
    flow: Any = ui_messages.stream(names["look_up"]("Rome"))
    assert [event.data if event.data == "[DONE]" else event.data["type"] for event in flow] == [
        *("start", "start-step", "reasoning-start", "reasoning-delta", "reasoning-end"),
        *("tool-input-available", "tool-output-available"),
        *("text-start", "text-delta", "text-delta", "text-end", "finish-step", "finish", "[DONE]"),
    ]


def test_error_is_told_in_the_words_of_the_app(names: Names) -> None:
    """Of the page's function."""
    body = names["app"].test_client().post("/api/busy").data
    assert parts(body)[-1] == {"type": "error", "errorText": "The model is busy."}


class _Chunks(list[Any]):
    closed = False

    def __enter__(self) -> _Chunks:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True


def test_recipe_for_a_models_stream_takes_its_text_and_closes_it(names: Names) -> None:
    """And why it ended, where that matters."""

    def chunk(*choices: tuple[str | None, str | None]) -> Any:
        made = [SimpleNamespace(delta=SimpleNamespace(content=content), finish_reason=why) for content, why in choices]
        return SimpleNamespace(choices=made)

    chunks = _Chunks(
        [chunk(("a", None)), chunk(), chunk((None, None)), chunk(("b", "content_filter")), chunk(("c", None))]
    )
    create = SimpleNamespace(create=lambda **_: chunks)
    client = SimpleNamespace(chat=SimpleNamespace(completions=create))
    assert list(names["completed"](client, "?")) == ["a", "b", {"type": "finish", "finishReason": "content-filter"}]
    assert chunks.closed


def test_text_alone_is_streamed(names: Names) -> None:
    """As plain text."""
    reply = names["app"].test_client().post("/api/text", json=sent("Why?"))
    assert (reply.content_type, reply.text) == ("text/plain; charset=utf-8", "You asked:\nWhy?")


def test_answer_is_resumed_and_stopped(names: Names) -> None:
    """204 where there is none; the same bytes where it has ended."""
    client = names["app"].test_client()
    assert client.get("/api/chat/c/stream").status_code == 204
    body = client.post("/api/chat", json=sent("Why?")).data
    assert text(body) == "You asked:\nWhy?"
    assert client.get("/api/chat/c/stream").data == body
    assert client.delete("/api/chat/c/stream").status_code == 204


def test_answer_that_a_worker_writes_is_read(names: Names) -> None:
    """By the view that waits for it, and by who resumes it."""
    threads: list[Thread] = []

    def enqueue(function: Any, *args: object) -> None:
        threads.append(Thread(target=function, args=args))
        threads[-1].start()

    names["enqueue"] = enqueue
    client = names["app"].test_client()
    body = client.post("/api/queued", json=sent("Why?")).data
    assert text(body) == "You asked:\nWhy?"
    threads[0].join(10)
    assert client.get("/api/chat/c/stream").data == body


def test_rest_follows_the_cursor(names: Names) -> None:
    """And 204 the end."""
    client = names["app"].test_client()
    client.post("/api/chat", json=sent("Why?"))
    whole = parts(client.get("/api/numbered/c/stream").data)
    cursors = [part["providerMetadata"]["streamkit"]["cursor"] for part in whole if "providerMetadata" in part]
    rest = client.get("/api/numbered/c/stream", query_string={"after": cursors[1]}).data
    assert parts(rest) == whole[4:]


def test_what_the_page_says_is_so() -> None:
    """The texts, the time for which an answer is kept, and the page's transport, which is that of the examples."""
    assert f"`{LOST}`" in TEXT
    assert f"`{GAP}`" in TEXT
    assert signature(Log).parameters["max_age"].default == 3600
    body = SCRIPTS[0].partition("{\n")[2].partition("\n}")[0]
    assert body in CHAT.read_text(encoding="utf-8")
    # The hook's own call is longer there.
    taken, *effect = [line.strip() for line in EFFECT.splitlines() if line]
    chat = [line.strip() for line in CHAT.read_text(encoding="utf-8").splitlines()]
    assert [line for line in effect if line not in chat] == []
    assert set(re.findall(r"\w+", taken.partition("useChat")[0])) <= set(re.findall(r"\w+", "\n".join(chat)))


@pytest.mark.servers
@needs("node")
@pytest.mark.xdist_group("node")
class TestClient:
    """What the page's script does, run by Node."""

    def test_body_that_just_ends_is_a_lost_connection(self, tmp_path: Path) -> None:
        """One that says how it ended is none."""
        program, bodies = tmp_path / "ends.mjs", tmp_path / "bodies.json"
        program.write_text("\n".join([*SCRIPTS, ENDS]))
        metadata = {"providerMetadata": {"streamkit": {"cursor": "7"}}}
        begin = [
            {"type": "start"},
            {"type": "text-start", "id": "t"},
            {"type": "text-delta", "id": "t", "delta": "a", **metadata},
        ]
        ends = [[], [{"type": "finish"}], [{"type": "abort"}], [{"type": "error", "errorText": "no"}]]
        written = ["".join(f"data: {json.dumps(part)}\n\n" for part in [*begin, *end]) for end in ends]
        bodies.write_text(json.dumps(written))
        got = [json.loads(line) for line in run_node(program, str(bodies)).splitlines()]
        assert [(one["status"], one["lost"], one["isDisconnect"]) for one in got] == [
            ("error", True, True),
            ("ready", False, False),
            ("ready", False, False),
            ("error", False, False),
        ]
        assert got[1]["cursor"] == "7"

    def test_versions_are_those_that_were_tested(self) -> None:
        """Of the major releases, or newer."""
        for package in ("ai", "@ai-sdk/react"):
            (major,) = re.findall(rf"`{package}` ([0-9]+)\.[0-9.]+[, ]", TEXT.partition("## Tested with")[2])[:1]
            assert version(package).split(".")[0] == major
