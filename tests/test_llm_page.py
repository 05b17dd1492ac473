"""docs/llm.md: its blocks run as they stand there, against servers upstream that behave and that do not."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamkit import EventDecoder
from streamkit.errors import EncodeError
from streamkit.llm import relay
from tests.engine.drive import run as drive
from tests.engine.drive import stream
from tests.llm.upstream import LIMITED, WORDS, Upstream, upstream
from tests.rig.requirements import needs
from tests.test_how_to import BLOCK, run

TEXT = (Path(__file__).parents[1] / "docs" / "llm.md").read_text(encoding="utf-8")
ASK = {"model": "mine", "messages": [{"role": "user", "content": "Why?"}], "stream": True}
ANSWER = "You asked:\nWhy?"

Ask = Callable[[dict[str, Any]], tuple[int, str, bytes]]


def blocks(heading: str) -> list[str]:
    """Return the Python blocks below a heading, to the next one of any rank."""
    return BLOCK.findall(TEXT.partition(f"\n{heading}\n")[2].partition("\n## ")[0].partition("\n### ")[0])


CHAT = blocks("## OpenAI's chat completions")
SAID, BUSY = blocks("### When the source fails")
(OWN,) = blocks("### A protocol of your own")
RELAYED, CHUNKS = blocks("### Sending on the stream of an SDK")
(MESSAGES,) = blocks("## Any event stream: relay")
IN_FLASK, IN_DJANGO = blocks("### What upstream may do wrong")
(MAP,) = blocks("### Changing and dropping events")


@pytest.fixture(scope="module")
def above() -> Iterator[Upstream]:
    """Serve the server upstream."""
    with upstream() as server:
        yield server


def asking(kind: str, names: dict[str, Any], path: str, view: str = "completions") -> Ask:
    """Return a function that asks the app of some blocks by its framework's test client."""
    if kind == "fastapi":
        return lambda body: _ask_fastapi(names["app"], path, body)
    if kind == "flask":
        return lambda body: _ask_flask(names["app"], path, body)
    return lambda body: _ask_django(names[view], path, body)


def _ask_fastapi(app: Any, path: str, body: dict[str, Any]) -> tuple[int, str, bytes]:
    from fastapi.testclient import TestClient

    with TestClient(app) as client:
        response = client.post(path, json=body)
    return response.status_code, response.headers.get("Content-Type", ""), response.content


def _ask_flask(app: Any, path: str, body: dict[str, Any]) -> tuple[int, str, bytes]:
    with app.test_client().post(path, json=body) as response:
        return response.status_code, response.content_type, response.get_data()


def _ask_django(view: Any, path: str, body: dict[str, Any]) -> tuple[int, str, bytes]:
    from django.test import AsyncRequestFactory, RequestFactory

    import tests.rig.apps.django  # noqa: F401 - configures Django, where no test has

    async def main() -> tuple[Any, bytes]:
        response = await view(AsyncRequestFactory().post(path, body, content_type="application/json"))
        content = b"".join([part async for part in response]) if response.streaming else response.content
        return response, content

    if inspect.iscoroutinefunction(view):
        response, content = asyncio.run(main())
    else:
        response = view(RequestFactory().post(path, body, content_type="application/json"))
        content = b"".join(response)
    response.close()
    return response.status_code, response["Content-Type"], content


def text_of(body: bytes) -> str:
    """Return the text of a completion that has ended as it should."""
    *chunks, done = [event.data for event in EventDecoder().feed(body)]
    assert done == "[DONE]"
    choices = [choice for chunk in chunks for choice in json.loads(chunk)["choices"]]
    assert choices[-1]["finish_reason"] == "stop"
    return "".join(choice["delta"].get("content", "") for choice in choices)


@pytest.mark.parametrize(
    ("kind", "block"),
    [
        pytest.param("fastapi", 0, marks=needs("fastapi")),
        pytest.param("flask", 1, marks=needs("flask")),
        pytest.param("django", 2, marks=needs("django")),
    ],
)
def test_completions_of_each_framework_answer(kind: str, block: int) -> None:
    """The same answer from each."""
    status, content_type, body = asking(kind, run(CHAT[block]), "/v1/chat/completions")(ASK)
    assert (status, content_type) == (200, "text/event-stream")
    assert text_of(body) == ANSWER


@pytest.mark.servers  # not that it starts one: openai is installed with them
@needs("fastapi", "openai")
def test_failure_is_told_as_the_page_says(above: Upstream) -> None:
    """Before the first token by a status, later in the words that the app has for it."""
    import openai

    names = run(CHAT[0], SAID, BUSY)
    status, _, body = asking("fastapi", names, "/busy/chat/completions")(ASK)
    assert (status, json.loads(body)) == (429, {"error": {"message": "Come back later."}})
    request = httpx.Request("POST", "http://upstream/")
    error: Any = openai.APIError("it fell over", request, body={"code": "down"})  # type: ignore[arg-type]
    assert names["said"](error) == {"message": "it fell over", "code": "down"}
    assert names["said"](TimeoutError()) == "The model took too long."
    assert names["said"](ValueError()) is None


@pytest.mark.servers  # not that it starts one: openai is installed with them
@needs("fastapi", "openai")
@pytest.mark.parametrize("block", ["view", "generator"])
def test_stream_of_the_sdk_is_sent_on(above: Upstream, block: str) -> None:
    """A refusal upstream keeps its status, and the words of one that breaks are passed on."""
    import openai

    for model in "whole", "breaks", "limited":
        shown = [block.replace("gpt-5", model) for block in (RELAYED, CHUNKS)]
        names = run(CHAT[0], SAID, BUSY, *shown)
        names["upstream"] = openai.AsyncOpenAI(base_url=above.url, api_key="ours", max_retries=0)
        if block == "generator":
            names["tokens"] = names["chunks"]
        path = "/relayed/chat/completions" if block == "view" else "/v1/chat/completions"
        status, _, body = asking("fastapi", names, path)(ASK)
        if model == "whole":
            assert text_of(body) == "".join(WORDS)
        elif model == "limited" and block == "view":
            assert (status, json.loads(body)["error"]["code"]) == (429, "rate_limit")
        else:
            told = json.loads(EventDecoder().feed(body)[-1].data)["error"]
            general = "The answer could not be completed."
            assert told["message"] == (general if block == "generator" else "the model fell over")


def test_source_with_words_of_its_own_has_them_sent() -> None:
    """After what came before the error, and to its clean end."""
    client = drive(stream(run(OWN)["numbered"]()))
    assert [(event.event, json.loads(event.data)) for event in EventDecoder().feed(client.body)] == [
        (None, {"number": 0, "of": 1.0}),
        ("failed", {"why": "no such part"}),
    ]
    assert client.ended


RELAYS = pytest.mark.parametrize(
    ("kind", "block"),
    [
        pytest.param("flask", IN_FLASK, marks=needs("flask"), id="flask"),
        pytest.param("django", IN_DJANGO, marks=needs("django"), id="django"),
    ],
)


@RELAYS
def test_relay_of_each_framework_answers(above: Upstream, kind: str, block: str) -> None:
    """An answer, an error in the middle, a refusal with its status, and nobody there."""
    names = run(block)
    names["UPSTREAM"] = above.url
    ask = asking(kind, names, "/v1/chat/completions")
    assert text_of(ask({"model": "whole"})[2]) == "".join(WORDS)
    status, _, body = ask({"model": "cut"})
    assert status == 200
    assert "could not be completed" in EventDecoder().feed(body)[-1].data
    status, content_type, body = ask({"model": "limited"})
    assert (status, content_type, json.loads(body)) == (429, "application/json", LIMITED)
    names["UPSTREAM"] = "http://127.0.0.1:9"
    assert ask({"model": "whole"})[0] == 502


PING = b'event: ping\ndata: {"type":"ping"}\n\n'
THOUGHT = b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"thinking_delta"}}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


@needs("fastapi")
@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=PING + STOP), (200, PING + STOP)),
        (
            httpx.Response(401, headers={"Content-Type": "application/json"}, content=b'{"error":"key"}'),
            (401, b'{"error":"key"}'),
        ),
        (httpx.Response(200, html="<h1>"), (502, b"upstream answered 200 with text/html; charset=utf-8, not an event")),
        (httpx.ConnectError("refused"), (502, b"no answer from upstream")),
    ],
)
def test_relay_of_messages_answers(given: httpx.Response | Exception, answer: tuple[int, bytes]) -> None:
    """Anthropic's events as they are, and a refusal with what may be said of it."""

    def handle(_: httpx.Request) -> httpx.Response:
        if isinstance(given, Exception):
            raise given
        return given

    names = run(MESSAGES)
    names["client"] = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    status, _, body = asking("fastapi", names, "/v1/messages")({})
    assert status == answer[0]
    assert body.startswith(answer[1])


def test_events_are_dropped_by_the_function_of_the_page() -> None:
    """Pings and thoughts."""
    response = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=PING + THOUGHT + STOP)
    sent: Any = relay(response, map=run(MAP)["without_thoughts"])
    assert [event.event for event in sent] == ["message_stop"]


def test_text_of_an_error_is_that_of_the_page() -> None:
    """What a part that cannot be sent is called."""
    error = EncodeError("bytes", "a token must be text; decode it to str first", 3)
    assert str(error) in " ".join(TEXT.split())
