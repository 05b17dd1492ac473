"""What a detached stream is asked for: keys and options that cannot be, and keys that are not there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamkit.channels import Detached, MemoryLog, Status
from streamkit.errors import UnknownStreamError
from tests.channels.streams import read


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        ("", ValueError, "key must have 1 to 246 bytes in UTF-8, and this has not: ''"),
        ("é" * 124, ValueError, "key must have 1 to 246 bytes"),
        ("\ud800", ValueError, r"key must not hold a lone surrogate; got '\\ud800'"),
        (7, TypeError, "key must be a str, not 7"),
    ],
)
def test_key_that_cannot_be_used_is_shown(key: Any, error: type[Exception], text: str) -> None:
    """By each method, at once."""
    detached = Detached(MemoryLog())

    async def main() -> None:
        for call in (detached.status, detached.cancel):
            with pytest.raises(error, match=text):
                await call(key)
        with pytest.raises(error, match=text):
            await detached.start(key, [])

    asyncio.run(main())
    for call in (detached.attach, detached.status_sync, detached.cancel_sync):
        with pytest.raises(error, match=text):
            call(key)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"lease": 0}, ValueError, "Detached.lease must be seconds above zero, not 0"),
        ({"grace": float("inf")}, ValueError, "Detached.grace must be seconds above zero, not inf"),
        ({"at_limit": "drop"}, ValueError, "Detached.at_limit must be 'fail' or 'wait', not 'drop'"),
        ({"error_text": "oops"}, TypeError, "Detached.error_text must be a function of an exception, not 'oops'"),
        ({"at_limit": "wait", "log": MemoryLog(max_age=None)}, ValueError, "would wait for ever"),
        ({"log": "redis://"}, TypeError, "takes a log such as MemoryLog"),
    ],
)
def test_option_that_cannot_be_is_shown(options: dict[str, Any], error: type[Exception], text: str) -> None:
    """When the object is made."""
    with pytest.raises(error, match=text):
        Detached(**{"log": MemoryLog(), **options})


def test_unknown_key_makes_nothing_in_the_log() -> None:
    """Keys come from URLs."""
    log = MemoryLog()
    detached = Detached(log)

    async def main() -> None:
        assert await detached.status("x", after="a.b.1.c") == Status("unknown", False)
        assert not await detached.cancel("x")
        with pytest.raises(UnknownStreamError, match="'x'"):
            await read(detached, "x")

    asyncio.run(main())
    assert not log.exists("detached:x")
    assert log._stores.here().channels == {}
    assert log._stores.here().leases == {}


def test_after_must_be_text() -> None:
    """What is no id at all is a mistake in the view."""
    with pytest.raises(TypeError, match="after must be the id that a client gave, a str, or None; not 7"):
        Detached(MemoryLog()).attach("k", 7)  # type: ignore[arg-type]
