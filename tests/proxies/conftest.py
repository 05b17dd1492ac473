"""Apps that live as long as the tests of a process, and proxies that live for one test."""

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


@dataclass
class Way:
    """The way to an app through a proxy; leaving the test ends the proxy."""

    setup: Setup
    port: int
    door: SideDoor

    def ask(self, path: str = "/sse", **order: Any) -> Client:
        """Open a stream; the arguments are those of Client."""
        return Client(self.port, path, **order)


class Apps:
    """The app of stamped frames, by whichever server is asked for; each starts once."""

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}

    def get(self, name: str) -> Server:
        """Return the app, which has sent nothing yet."""
        if name not in self._servers:
            kind = SERVERS[name]
            self._servers[name] = Server(kind, f"tests.rig.apps.stamped:{kind.interface}")
        self._servers[name].side_door.reset()
        return self._servers[name]

    def stop(self) -> None:
        """End all."""
        for server in self._servers.values():
            server.stop()


@pytest.fixture(scope="session")
def apps() -> Iterator[Apps]:
    """Serve the app for all tests of this process."""
    apps = Apps()
    yield apps
    apps.stop()


Through = Callable[..., Way]


@pytest.fixture
def through(apps: Apps) -> Iterator[Through]:
    """Return what starts a setup by its name; `upstream` names another server than that of the setup."""
    with ExitStack() as stack:

        def start(name: str, upstream: str | None = None) -> Way:
            app = apps.get(upstream or SETUPS[name].upstream)
            stack.callback(app.side_door.reset)
            return Way(SETUPS[name], stack.enter_context(open_proxy(name, app.port)).port, app.side_door)

        yield start
