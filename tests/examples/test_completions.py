"""OpenAI's own client against each example on its server, as the example's file shows it."""

from __future__ import annotations

import ast
import contextlib
import io
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from tests.examples.conftest import EXAMPLES
from tests.examples.running import FOLDERS, Example, answer_to
from tests.rig.requirements import needs

pytestmark = [pytest.mark.servers, needs("openai")]

QUESTION = "What is a keepalive?"


@pytest.fixture(scope="module", params=EXAMPLES)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Run each example, with answers that do not take their time."""
    log = tmp_path_factory.mktemp(request.param) / "log"
    with Example(request.param, log, constants={"completions.PACE": 0}) as example:
        yield example


def ask(example: Example, content: Any, **options: Any) -> list[Any]:
    """Return the chunks of an answer."""
    import openai

    with openai.OpenAI(base_url=f"{example.url}/v1", api_key="none", max_retries=0, timeout=20) as client:
        messages: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
        return list(client.chat.completions.create(model="questions", messages=messages, stream=True, **options))


def test_client_that_the_file_shows_works_first_time(example: Example) -> None:
    """Its lines print the answer."""
    docstring = ast.get_docstring(ast.parse((FOLDERS[example.folder.name] / "completions.py").read_text()))
    assert docstring is not None
    shown = textwrap.dedent(docstring.partition("\n\n")[2]).replace("http://127.0.0.1:8000", example.url)
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(shown, names)
    names["client"].close()
    assert printed.getvalue() == answer_to(QUESTION)


def test_text_in_parts_is_understood_and_usage_told(example: Example) -> None:
    """As clients with images send it."""
    chunks = ask(
        example, [{"type": "text", "text": QUESTION}, {"type": "image_url"}], stream_options={"include_usage": True}
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == answer_to(QUESTION)
    assert chunks[-1].usage.prompt_tokens == 4
    assert all(chunk.usage is None for chunk in ask(example, QUESTION))


def test_client_that_does_not_stream_is_told_what_to_do(example: Example) -> None:
    """In the error that the SDK raises."""
    import openai

    with openai.OpenAI(base_url=f"{example.url}/v1", api_key="none", max_retries=0, timeout=20) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="questions", messages=[{"role": "user", "content": QUESTION}])
        assert "stream=True" in caught.value.message
