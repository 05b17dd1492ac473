"""The pytest plugin, as it is found when streamkit is installed; and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

SUITE = """
import threading
import pytest
from streamkit import Event, StreamPolicy
from streamkit.asgi import EventStreamResponse

closed = threading.Event()

async def ticks():
    try:
        yield "a"
        await __import__("asyncio").Event().wait()
    finally:
        closed.set()

async def app(scope, receive, send):
    await EventStreamResponse(ticks(), policy=StreamPolicy(keepalive=30))(scope, receive, send)

def test_left_open(open_stream, stream_clock):
    events = open_stream(app, "GET", "/")
    assert events.take() == [Event("a")]
    stream_clock.advance(30)
    assert events.keepalive() == b":\\n"
    assert not closed.is_set()

def test_was_closed():
    assert closed.is_set()

def test_times_out(open_stream):
    events = open_stream(app, "GET", "/", timeout=20)
    events.take()
    events._timeout = 0.1
    try:
        events.take(2)
    finally:
        events._timeout = 20
"""


def test_installed_plugin_gives_its_fixtures(pytester: pytest.Pytester) -> None:
    """A stream that a test has left open is closed at its end; a bound that is passed is a failure with its text."""
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["*StreamTimeoutError: take(2) did not come within 0.1 s; what had arrived: status 200*"]
    )


def test_importing_the_plugin_loads_no_framework() -> None:
    """Every run of pytest imports it, where streamkit is installed."""
    code = "import sys; before = set(sys.modules); import streamkit.testing._pytest; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", f"import pytest; {code}"], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "streamkit" in loaded
    assert not loaded & {"flask", "werkzeug", "django", "starlette", "fastapi", "httpx", "httpx2", "anyio", "asyncio"}
