"""The relay of each example on its server, with the stand-in for a language model upstream."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.examples.conftest import EXAMPLES
from tests.examples.running import Example
from tests.examples.upstream import StandIn, stand_in
from tests.rig.http import HTTPStream

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def upstream() -> Iterator[StandIn]:
    """Serve the stand-in."""
    with stand_in() as server:
        yield server


@pytest.fixture(scope="module", params=EXAMPLES)
def relay(
    request: pytest.FixtureRequest, upstream: StandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Example]:
    """Run each example with the stand-in upstream."""
    log = tmp_path_factory.mktemp(request.param) / "log"
    with Example(request.param, log, constants={"relay.UPSTREAM": upstream.url}) as example:
        yield example


def ask(relay: Example, model: str) -> HTTPStream:
    """Send a request for a completion."""
    body = json.dumps({"model": model, "stream": True}).encode()
    headers = {"Content-Type": "application/json"}
    return HTTPStream(relay.port, "/relay/v1/chat/completions", method="POST", headers=headers, body=body)


def test_whole_answer_ends_with_its_mark(relay: Example) -> None:
    """The body ends cleanly after [DONE]."""
    with ask(relay, "whole") as stream:
        assert stream.read_to_end().endswith(b"data: [DONE]\n\n")
        assert stream.clean


def test_answer_that_was_cut_upstream_has_no_mark(relay: Example) -> None:
    """What upstream did not finish is not finished here: no [DONE] is made up, and HTTP/1.1 shows the cut."""
    with ask(relay, "cut") as stream:
        assert b"[DONE]" not in stream.read_to_end()
        assert not stream.clean or stream.head().get("connection") == "close"


def test_client_that_leaves_ends_the_request_upstream(relay: Example, upstream: StandIn) -> None:
    """The stand-in sees its client go, so that a model would stop."""
    upstream.left.clear()
    with ask(relay, "endless") as stream:
        stream.read_until(b"xxx")
    assert upstream.left.wait(10)
