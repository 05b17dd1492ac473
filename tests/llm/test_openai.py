"""What OpenAI's own client makes of completions from each framework: an answer is exact, or an error is raised."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.llm.apps.answers import CALLS, SECRET, TOKENS, USAGE
from tests.llm.upstream import USAGE as USAGE_UPSTREAM
from tests.llm.upstream import WORDS, Upstream, upstream
from tests.rig.http import HTTPStream
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionChunk

pytestmark = [pytest.mark.servers, needs("openai")]

HOSTS = {
    "fastapi": ("uvicorn-h11", "tests.llm.apps.in_fastapi:app", {}),
    "flask": ("gunicorn-gthread", "tests.llm.apps.in_flask:app", {}),
    "django": ("gunicorn-gthread", "tests.llm.apps.in_django:wsgi_app", {}),
    "django-asgi": ("uvicorn-h11", "tests.llm.apps.in_django:asgi_app", {"VIEWS": "async"}),
}
ASK: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def above() -> Iterator[Upstream]:
    """Serve the server upstream."""
    with upstream() as server:
        yield server


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            name,
            # One worker, since each would start the server anew.
            marks=(needs(name.partition("-")[0], *SERVERS[kind].parts), pytest.mark.xdist_group(f"openai {name}")),
        )
        for name, (kind, _, _) in HOSTS.items()
    ],
)
def host(request: pytest.FixtureRequest, above: Upstream) -> Iterator[Server]:
    """Serve the completions."""
    kind, app, environment = HOSTS[request.param]
    with Server(SERVERS[kind], app, environment={"UPSTREAM": above.url, **environment}) as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest) -> str:
    """Name the client of the SDK."""
    return str(request.param)


def chunks(host: Server, client: str, model: str, **options: Any) -> Iterator[ChatCompletionChunk]:
    """Yield what the SDK gives for a model; what an error came after too."""
    import openai

    settings: dict[str, Any] = {"base_url": f"{host.url}/v1", "api_key": "none", "max_retries": 0, "timeout": 20}
    if client == "sync":
        with (
            openai.OpenAI(**settings) as api,
            api.chat.completions.create(model=model, messages=ASK, stream=True, **options) as stream,
        ):
            yield from stream
        return
    got: list[ChatCompletionChunk] = []

    async def read() -> None:
        async with (
            openai.AsyncOpenAI(**settings) as api,
            await api.chat.completions.create(model=model, messages=ASK, stream=True, **options) as stream,
        ):
            async for chunk in stream:
                got.append(chunk)  # noqa: PERF401 - what came before an error counts

    error: Exception | None = None
    try:
        asyncio.run(read())
    except Exception as exc:
        error = exc
    yield from got
    if error is not None:
        raise error


def text_of(got: list[ChatCompletionChunk]) -> str:
    """Return the text of an answer."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in got if chunk.choices)


def raised(host: Server, client: str, model: str) -> tuple[str, Exception]:
    """Return the text that came before the error that the SDK raised, and the error."""
    got: list[ChatCompletionChunk] = []
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one it is, is for the caller to say
        got.extend(chunks(host, client, model))
    return text_of(got), caught.value


def test_text_is_exact(host: Server, client: str) -> None:
    """Whatever trap a token is."""
    got = list(chunks(host, client, "traps"))
    assert text_of(got) == "".join(TOKENS)
    assert [chunk.choices[0].finish_reason for chunk in got] == [None] * (len(TOKENS) + 1) + ["stop"]
    assert got[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in got}) == 1
    assert {chunk.usage for chunk in got} == {None}


def test_usage_comes_where_it_was_asked_for(host: Server, client: str) -> None:
    """In the last chunk."""
    got = list(chunks(host, client, "traps", stream_options={"include_usage": True}))
    assert text_of(got) == "".join(TOKENS)
    assert got[-1].usage is not None
    assert got[-1].usage.model_dump(exclude_unset=True) == USAGE
    assert got[-1].choices == []


def test_tool_calls_are_put_together(host: Server, client: str) -> None:
    """By the SDK's own accumulator too, where the client is sync."""
    got = list(chunks(host, client, "tools"))
    calls = [call for chunk in got for call in chunk.choices[0].delta.tool_calls or ()]
    assert [call.model_dump(exclude_unset=True) for call in calls] == [call["tool_calls"][0] for call in CALLS]
    assert got[-1].choices[0].finish_reason == "tool_calls"


def test_accumulator_of_the_sdk_understands_the_chunks(host: Server) -> None:
    """What most people use for tool calls."""
    import openai

    with openai.OpenAI(base_url=f"{host.url}/v1", api_key="none", max_retries=0, timeout=20) as api:
        with api.chat.completions.stream(model="tools", messages=ASK) as stream:
            message = stream.get_final_completion().choices[0].message
        assert message.tool_calls is not None
        assert message.tool_calls[0].function.arguments == '{"a": "\\n"}'


def test_finish_reason_is_the_sources(host: Server, client: str) -> None:
    """An answer that was too long says so."""
    assert list(chunks(host, client, "long"))[-1].choices[0].finish_reason == "length"


def test_silence_is_filled_and_skipped(host: Server, client: str) -> None:
    """The client sees no keepalive."""
    assert text_of(list(chunks(host, client, "silent"))) == "ab"


def test_silence_is_filled_on_the_wire(host: Server, above: Upstream) -> None:
    """So that the test before this has something to skip."""
    above.go.clear()
    body = json.dumps({"model": "up:silent", "messages": ASK, "stream": True}).encode()
    headers = {"Content-Type": "application/json"}
    with HTTPStream(host.port, "/v1/chat/completions", method="POST", headers=headers, body=body) as stream:
        stream.read_until(b"}\n\n:\n:\n:\n", within=20)
    above.go.set()


def test_failure_is_raised_with_the_general_words(host: Server, client: str) -> None:
    """After what came before it; the words of the exception stay in the server's log."""
    import openai

    text, error = raised(host, client, "fails")
    assert text == "a"
    assert type(error) is openai.APIError
    assert error.message == "The answer could not be completed."
    assert isinstance(error.body, dict)
    assert error.body["type"] == "server_error"
    host.wait_for_log(SECRET)


def test_failure_is_raised_with_the_words_of_the_app(host: Server, client: str) -> None:
    """Where it has any."""
    import openai

    _, error = raised(host, client, "said")
    assert isinstance(error, openai.APIError)
    assert error.message == "the weights are gone"


def test_part_that_cannot_be_sent_is_raised_with_its_number(host: Server, client: str) -> None:
    """And the log says what it was."""
    import openai

    _, error = raised(host, client, "bad")
    assert isinstance(error, openai.APIError)
    assert error.message == "The answer could not be completed: item 1 of its source cannot be sent."
    host.wait_for_log("item 1: cannot encode bytes: a token must be text; decode it to str first")


def test_failure_before_the_first_token_is_a_status(host: Server, client: str) -> None:
    """Of the view's choice, since it has waited by `primed`."""
    import openai

    text, error = raised(host, client, "busy")
    assert text == ""
    assert isinstance(error, openai.RateLimitError)
    assert "come back later" in error.message


def test_cut_is_raised(host: Server, client: str) -> None:
    """A short answer is never taken for the whole."""
    import openai

    text, error = raised(host, client, "cut")
    assert text == "a"
    assert isinstance(error, openai.APIConnectionError)


def test_stream_of_the_sdk_is_relayed(host: Server, client: str) -> None:
    """Chunk by chunk as upstream wrote them, without the usage that this client did not ask for."""
    got = list(chunks(host, client, "up:whole"))
    assert text_of(got) == "".join(WORDS)
    assert {chunk.id for chunk in got} == {"up"}
    assert [chunk.choices[0].finish_reason for chunk in got] == [None] * (len(WORDS) + 1) + ["stop"]
    assert not any("system_fingerprint" in chunk.model_fields_set for chunk in got)
    got = list(chunks(host, client, "up:whole", stream_options={"include_usage": True}))
    assert got[-1].usage is not None
    assert got[-1].usage.model_dump(exclude_unset=True) == USAGE_UPSTREAM


@pytest.mark.parametrize("model", ["up:cut", "up:breaks"])
def test_upstream_that_fails_is_raised(host: Server, client: str, model: str) -> None:
    """A clean end without a finish reason is one that fails."""
    import openai

    text, error = raised(host, client, model)
    assert text == "".join(WORDS)
    assert type(error) is openai.APIError
    assert error.message == "The answer could not be completed."


def test_refusal_upstream_keeps_its_status(host: Server, client: str) -> None:
    """The SDK raises it in the view, before there is a stream."""
    import openai

    _, error = raised(host, client, "up:limited")
    assert isinstance(error, openai.RateLimitError)
    assert "too many requests" in error.message


def test_client_that_leaves_ends_the_request_upstream(host: Server, above: Upstream) -> None:
    """No token is billed for nobody."""
    above.left.clear()
    stream = chunks(host, "sync", "up:endless")
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert above.left.wait(10)


def test_client_that_leaves_in_a_silence_ends_the_request_upstream(host: Server, above: Upstream) -> None:
    """At once where the SDK is async; a sync one waits in its thread until upstream says something."""
    above.left.clear()
    above.go.clear()
    stream = chunks(host, "sync", "up:silent")
    next(stream)
    assert next(stream).choices[0].delta.content == "a"
    stream.close()  # type: ignore[attr-defined]
    if host.kind.interface == "wsgi":
        above.go.set()
    assert above.left.wait(10)
