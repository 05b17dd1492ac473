"""A pytest plugin: put StreamingMiddleware around every app that the tests of Starlette and FastAPI make.

Apps of theirs get it as the outermost layer of their own stack, whoever calls them; any other app where their test
client gets it. At the end it says how many tests ran and how many responses the middleware took for streams.
"""

from collections import Counter
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.testclient import TestClient

from streamkit import stats
from streamkit.asgi import StreamingMiddleware

_init = TestClient.__init__
_outcomes: Counter[str] = Counter()


def _wrap_stack_of(kind: type[Starlette]) -> None:
    build = kind.build_middleware_stack
    kind.build_middleware_stack = lambda self: StreamingMiddleware(build(self))  # type: ignore[method-assign]


def _wrapped_client(self: TestClient, app: Any, *args: Any, **kwargs: Any) -> None:
    _init(self, app, *args, **kwargs)
    if not isinstance(app, Starlette):
        self._transport.app = StreamingMiddleware(self._transport.app)  # type: ignore[attr-defined]


for _kind in (Starlette, FastAPI):
    _wrap_stack_of(_kind)
TestClient.__init__ = _wrapped_client  # type: ignore[method-assign]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count the tests."""
    if report.when == "call" or report.failed:
        _outcomes[report.outcome] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail when nothing was tested."""
    if not _outcomes["passed"] or not stats().opened:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many there were."""
    terminalreporter.write_line(f"{dict(_outcomes)}, {stats().opened} responses were streams to the middleware")
