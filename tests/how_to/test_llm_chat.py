"""docs/how-to/llm-chat.md: each view sends the answer; the page's script shows it, stops it, hears of a failure."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from streamkit.testing import open_stream
from tests.rig.node import node
from tests.rig.requirements import needs
from tests.test_how_to import PAGES, blocks_of, run
from tests.test_readme import served

PAGE = "llm-chat.md"
ANSWERS = blocks_of(PAGE)[0]
FLASK, DJANGO, FASTAPI = blocks_of(PAGE, "The view")
(MODEL,) = blocks_of(PAGE, "The model")
(SCRIPT,) = re.findall(r"^```js\n(.*?)^```$", (PAGES / PAGE).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
READ_EVENTS = Path(__file__).parents[2] / "examples" / "flask" / "static" / "stream.js"

ASKED = {"messages": [{"role": "user", "content": "Why?"}]}


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Put the first block where the others import it from."""
    made = ModuleType("answers")
    exec(compile(ANSWERS, "answers", "exec", dont_inherit=True), vars(made))
    monkeypatch.setitem(sys.modules, "answers", made)
    return made


def check(app: Any) -> None:
    """Read an answer: three tokens, and the end."""
    with open_stream(app, "POST", "/chat", json=ASKED, timeout=20) as events:
        *words, done = list(events)
    assert [word.json() for word in words] == ["You ", "asked:\n", "Why?"]
    assert done.event == "done"


@needs("flask")
def test_flask_block_sends_the_answer() -> None:
    """Token by token."""
    check(run(FLASK)["app"])


@needs("django")
@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_django_block_sends_the_answer(interface: str) -> None:
    """Under either handler."""
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings
    from django.urls import path

    patterns = (path("chat", run(DJANGO)["chat"]),)
    with override_settings(ROOT_URLCONF=patterns, ALLOWED_HOSTS=["*"], MIDDLEWARE=[]):
        check(WSGIHandler() if interface == "wsgi" else ASGIHandler())


@needs("fastapi")
def test_fastapi_block_sends_the_answer() -> None:
    """Token by token."""
    check(run(FASTAPI)["app"])


@needs("fastapi", "openai", "httpx")
def test_tokens_of_the_sdk_are_the_models(answers: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of a server that speaks OpenAI's protocol."""
    import httpx
    from fastapi import FastAPI

    from streamkit.fastapi import EventStreamResponse
    from streamkit.llm import chat_completions

    upstream = FastAPI()

    @upstream.post("/v1/chat/completions")
    async def completions() -> Any:
        return EventStreamResponse(chat_completions.stream(["You ", "asked:\n", "Why?"], model="gpt-5"))

    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://upstream/v1")
    names = run(MODEL)
    inside = httpx.AsyncClient(transport=httpx.ASGITransport(app=upstream))
    names["client"] = names["client"].with_options(http_client=inside)
    monkeypatch.setattr(answers, "tokens", names["tokens"])
    check(run(FASTAPI)["app"])


@needs("fastapi")
def test_failure_is_told_in_one_sentence_without_the_exception(
    answers: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no `done` comes."""

    async def failing(messages: object) -> Any:
        yield "You "
        raise OSError("secret")

    monkeypatch.setattr(answers, "tokens", failing)
    with open_stream(run(FASTAPI)["app"], "POST", "/chat", json=ASKED, timeout=20) as events:
        word, failed = list(events)
        assert (word.json(), failed.event, failed.json()) == ("You ", "failed", "The answer could not be completed.")


class Model:
    """A model that writes for ever, or fails, as the prompt says; tells when it is stopped."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def __call__(self, messages: list[dict[str, str]]) -> Iterator[str]:
        """Write."""
        try:
            yield "You "
            while messages[-1]["content"] == "for ever":
                yield "and "
            if messages[-1]["content"] == "cut":
                raise KeyError
            yield "asked"
        finally:
            self.stopped.set()


@pytest.mark.servers
@needs("flask", "node")
def test_script_of_the_page_shows_stops_and_complains(
    answers: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In Node, of a served app."""
    model = Model()
    monkeypatch.setattr(answers, "tokens", model)
    (tmp_path / "stream.js").write_text(READ_EVENTS.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "ask.js").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")

    def ask(url: str, prompt: str, *, then: str = "") -> str:
        (tmp_path / "main.js").write_text(
            f"""
            import {{ ask }} from "./ask.js"
            const request = globalThis.fetch
            globalThis.fetch = (path, options) => request("{url}" + path, options)
            const stop = new AbortController()
            const shown = []
            const show = (text) => {{ shown.push(text); {then} }}
            const told = (error) => shown.push(`${{error.name}}: ${{error.message}}`)
            await ask([{{ role: "user", content: "{prompt}" }}], show, stop.signal).catch(told)
            console.log(shown.join("|"))
            """,
            encoding="utf-8",
        )
        command = [node(), str(tmp_path / "main.js")]
        return subprocess.run(command, timeout=30, capture_output=True, text=True, check=True).stdout.strip()

    with served(run(FLASK)["app"]) as url:
        assert ask(url, "Why?") == "You |asked"
        assert ask(url, "cut") == "You |Error: The answer could not be completed."
        model.stopped.clear()
        said = ask(url, "for ever", then="if (shown.length > 3) stop.abort()")
        assert said.startswith("You |and |and |and |")
        assert said.endswith("AbortError: This operation was aborted")
        assert model.stopped.wait(20)


@needs("fastapi")
def test_answer_without_an_end_is_cut(answers: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `on_error` is left out, as the table says."""

    async def failing(messages: object) -> Any:
        yield "You "
        raise OSError("secret")

    monkeypatch.setattr(answers, "tokens", failing)
    monkeypatch.setitem(answers.OPTIONS, "on_error", None)
    with open_stream(run(FASTAPI)["app"], "POST", "/chat", json=ASKED, timeout=20) as events:
        with pytest.raises(AssertionError):
            list(events)
        assert events.closed_reason == "error"
