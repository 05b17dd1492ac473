"""Contract point 10 as OpenAI's own client sees it: an answer is whole, or an error is raised; never a short one."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.rig.apps.completions import WORDS
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("shutdown openai"), needs("openai")]

KINDS = [
    pytest.param(SERVERS[name], id=name, marks=needs(*SERVERS[name].parts)) for name in ("uvicorn-h11", "granian-asgi")
]


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Serve the answers."""
    with Server(request.param, "tests.rig.apps.completions:app") as server:
        yield server


def _answer(server: Server, model: str) -> Iterator[str]:
    """Ask; tell the server to stop when the third word is there; yield the words."""
    import openai

    client = openai.OpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=20)
    with (
        client,
        client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "Hello"}], stream=True
        ) as chunks,
    ):
        for number, chunk in enumerate(chunks):
            if number == 3:
                server.signal(signal.SIGTERM)
            yield chunk.choices[0].delta.content or ""


def test_answer_that_ends_within_its_grace_is_whole(server: Server) -> None:
    """The server stops when the answer has been given, and no sooner."""
    assert "".join(_answer(server, "brief")) == "".join(WORDS)
    server.wait_until_gone(10.0)


def test_answer_that_does_not_is_an_error(server: Server) -> None:
    """The client raises, since a clean end would pass for the model's own."""
    import httpx
    import openai

    words: list[str] = []
    with pytest.raises((httpx.RemoteProtocolError, openai.APIConnectionError)):
        words.extend(_answer(server, "endless"))
    server.wait_until_gone(10.0)
