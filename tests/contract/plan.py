"""How a promise becomes tests: which columns and modes it is about, and what each test gets to work with.

`@promise(5, "…")` marks a test with its contract point and the sentence that the matrix shows. The plugin hooks in
conftest run it once per column and mode that it applies to.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.contract.declared import MODES, Column
from tests.rig.asgi import ASGIHost
from tests.rig.scenarios import Mode
from tests.rig.servers import Interface, Server
from tests.rig.sidedoor import SideDoor
from tests.rig.stream import Stalled, Stream
from tests.rig.wsgi import WSGIHost

Host = Server | ASGIHost | WSGIHost


@dataclass(frozen=True)
class Promise:
    """One row of the matrix.

    Args:
        point: number of the contract point.
        text: what is promised, one sentence.
        modes: the kinds of source it is about.
        interfaces: the interfaces it is about.
        but_not: adapters it is not about, with the reason.
    """

    point: int
    text: str
    modes: tuple[Mode, ...] = MODES
    interfaces: tuple[Interface, ...] = ("asgi", "wsgi")
    but_not: tuple[tuple[str, str], ...] = ()

    def applies(self, column: Column, mode: Mode) -> bool:
        """Say whether the promise is about a column and a mode."""
        adapters = [adapter for adapter, _ in self.but_not]
        return mode in self.modes and column.interface in self.interfaces and column.adapter not in adapters


def promise(point: int, text: str, **details: Any) -> pytest.MarkDecorator:
    """Mark a test as a row of the matrix; the details are those of Promise."""
    return pytest.mark.promise(Promise(point, text, **details))


def promise_of(function: Callable[..., Any]) -> Promise | None:
    """Return what a test function promises."""
    for mark in getattr(function, "pytestmark", ()):
        if mark.name == "promise":
            found: Promise = mark.args[0]
            return found
    return None


@contextmanager
def serve(column: Column) -> Iterator[Host]:
    """Serve a column's application."""
    if column.server is not None:
        with Server(column.server, column.app) as server:
            yield server
        return
    module, _, name = column.app.partition(":")
    app = getattr(importlib.import_module(module), name)
    # Django's handler sends header names as they were written.
    strict = column.adapter != "django-asgi"
    host = ASGIHost(app, lower_case=strict) if column.interface == "asgi" else WSGIHost(app)
    with host:
        yield host


@dataclass(frozen=True)
class Served:
    """A served application and one kind of source: all that a test of the contract knows."""

    column: Column
    mode: Mode
    host: Host

    @property
    def side_door(self) -> SideDoor:
        """The way into the process."""
        return self.host.side_door

    def open(self, scenario: str, **request: Any) -> Stream:
        """Forget what was recorded and request a scenario."""
        self.side_door.reset()
        return self.host.open(f"/{self.mode}/{scenario}", **request)

    def open_beside(self, scenario: str, **request: Any) -> Stream:
        """Request a scenario while other streams go on."""
        return self.host.open(f"/{self.mode}/{scenario}", **request)

    def closed(self, within: float = 5.0) -> dict[str, Any]:
        """Wait until the source was closed and return its record."""
        return self.side_door.wait_for(lambda record: record["closed"] > 0, within, what="a closed source")

    def log_since(self, mark: int, wanted: str, within: float = 4.0) -> str:
        """Return what the server logged after `mark` characters, once `wanted` is in it."""
        until = time.monotonic() + within
        while wanted not in self.host.log()[mark:]:
            if time.monotonic() > until:
                raise Stalled(f"{wanted!r} was not logged within {within} s:\n{self.host.log()[mark:]}")
            time.sleep(0.02)
        # A second record would come at once, if there is one.
        time.sleep(0.1)
        return self.host.log()[mark:]
