"""Apps and proxies for the tests of this process, each started once as far as the order of tests allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.proxies.arrivals import Client
from tests.proxies.running import open_proxy
from tests.proxies.setup import Setup
from tests.proxies.setups import SETUPS
from tests.rig.servers import SERVERS, Server
from tests.rig.sidedoor import SideDoor

KEPT = 3
"""Proxies that stay open: no test has use for more at a time."""


@dataclass
class Way:
    """The way to an app through a proxy."""

    setup: Setup
    port: int
    door: SideDoor

    def ask(self, path: str = "/sse", **order: Any) -> Client:
        """Open a stream; the arguments are those of Client."""
        return Client(self.port, path, **order)


class Running:
    """Servers that outlive a test: the app by each server that was asked for, and the proxies asked for last."""

    def __init__(self) -> None:
        self._apps: dict[str, Server] = {}
        self._proxies: dict[tuple[str, str], tuple[ExitStack, int]] = {}

    def app(self, server: str) -> Server:
        """Return the app by a server, which has sent nothing yet."""
        if server not in self._apps:
            kind = SERVERS[server]
            self._apps[server] = Server(kind, f"tests.rig.apps.stamped:{kind.interface}")
        self._apps[server].side_door.reset()
        return self._apps[server]

    def proxy(self, name: str, server: str) -> int:
        """Return the port of a setup before the app by a server."""
        if (name, server) not in self._proxies:
            while len(self._proxies) >= KEPT:
                self._close(next(iter(self._proxies)))
            stack = ExitStack()
            self._proxies[name, server] = stack, stack.enter_context(open_proxy(name, self.app(server).port)).port
        return self._proxies[name, server][1]

    def stop(self) -> None:
        """End all."""
        for key in list(self._proxies):
            self._close(key)
        for server in self._apps.values():
            server.stop()

    def _close(self, key: tuple[str, str]) -> None:
        self._proxies.pop(key)[0].close()


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    """Keep servers for all tests of this process."""
    running = Running()
    yield running
    running.stop()


Through = Callable[..., Way]


@pytest.fixture
def through(running: Running) -> Iterator[Through]:
    """Return what opens the way through a setup; `upstream` names another server than that of the setup."""
    with ExitStack() as stack:

        def start(name: str, upstream: str | None = None) -> Way:
            server = upstream or SETUPS[name].upstream
            port = running.proxy(name, server)
            app = running.app(server)
            stack.callback(app.side_door.reset)
            return Way(SETUPS[name], port, app.side_door)

        yield start
