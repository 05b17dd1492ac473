"""What the first versions of the programs got wrong, and what the error says; docs/api-notes.md has the whole list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import RequestFactory
from starlette.requests import Request

from streamkit import NDJSON, Format, Pipe, django, fastapi, flask, starlette, wsgi
from streamkit.llm import relay


class NoType(Format):
    """Forgets its media type."""

    def encode(self, item: object) -> bytes:
        """Return nothing."""
        return b""


class NoEncode(Format):
    """Forgets to encode."""

    media_type = "text/csv"


class SDKStream:
    """Has the shape of an SDK's stream: it can be entered, and is iterated by chunk."""

    def __enter__(self) -> SDKStream:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[object]:
        return iter(())


WRONG: dict[str, tuple[Callable[[Any], object], str]] = {
    "an option of the policy": (
        lambda words: flask.EventStreamResponse(words, keepalive=5),  # type: ignore[call-arg]
        r"no option 'keepalive'; it takes policy=StreamPolicy\(keepalive=…\)",
    ),
    "an option that there is not": (
        lambda words: wsgi.EventStreamResponse(words, timeout=5),  # type: ignore[call-arg]
        r"no option 'timeout'; it takes format, policy, end, ",
    ),
    "the request in the place of the status, Django": (
        lambda words: django.EventStreamResponse(words, RequestFactory().get("/")),  # type: ignore[arg-type]
        r"status must be a number, not <WSGIRequest.*; a request is given as request=…",
    ),
    "the request in the place of the status, Starlette": (
        lambda words: starlette.EventStreamResponse(words, Request({"type": "http"})),  # type: ignore[arg-type]
        r"status must be a number, not .*; a request is given as request=…",
    ),
    "the request in the place of the status, FastAPI": (
        lambda words: fastapi.EventStreamResponse(words, Request({"type": "http"})),  # type: ignore[arg-type]
        r"status must be a number, not .*; a request is given as request=…",
    ),
    "one format for several": (
        lambda words: wsgi.NegotiatedResponse(words, formats=NDJSON()),  # type: ignore[arg-type]
        r"formats must be a tuple such as \(EventStream\(\), NDJSON\(\)\), not <streamkit.ndjson.NDJSON",
    ),
    "a format without a media type": (
        lambda words: wsgi.EventStreamResponse(words, format=NoType()),
        r"format must be a Format with media_type and encode\(\).*NoType",
    ),
    "a format that does not encode": (
        lambda words: wsgi.EventStreamResponse(words, format=NoEncode()),
        r"format must be a Format with media_type and encode\(\).*NoEncode",
    ),
    "the stream of an SDK for a response": (
        lambda words: relay(SDKStream()),
        r"response must be one of httpx.*SDKStream.*chat_completions.stream\(…\) sends it on",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_error_in_the_view_says_what_to_write(case: str) -> None:
    """A mistake that is easy to make is told where it was made."""
    build, text = WRONG[case]
    with pytest.raises(TypeError, match=text):
        build(["a", "b"])


def test_pipe_is_closed_by_the_end_of_its_block() -> None:
    """What was put in before is still read."""
    with Pipe() as pipe:
        pipe.put(1)
        assert not pipe.closed
    assert pipe.closed
    assert list(pipe) == [1]


def test_pipe_fails_with_what_its_block_has_raised() -> None:
    """The error comes out of the block, and behind the items, so that half is not taken for the whole."""
    pipe = Pipe()
    pipe.put(1)
    with pytest.raises(ValueError, match="the job failed"), pipe:
        raise ValueError("the job failed")
    items = iter(pipe)
    assert next(items) == 1
    with pytest.raises(ValueError, match="the job failed"):
        next(items)
