"""What the chaos is done to: servers, and the log behind them; and what can be done to both.

A stage has two tracks, which run side by side: what happens to servers, and what happens to the log. So a server is
killed while the log is down, but there are never two faults of one kind at a time.
"""

from __future__ import annotations

import contextlib
import random
import re
import signal
from collections.abc import Callable, Mapping
from typing import Self

from tests.rig.apps.numbers import LOG
from tests.rig.servers import Server, ServerKind

Track = dict[str, Callable[[], None]]
"""What can be done, by the name that is printed."""

# Where coverage is measured, it is not here: the servers would be several times slower.
_UNMEASURED = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}

# What a server logs of readers that are cut off because they are too slow, or by its end before they have an id.
_CUT_OFF = tuple(
    f"streamkit.errors.StreamCutError: the stream was cut: {reason}" for reason in ("slow_client", "drained")
)


class Stage:
    """What all stages have; a context manager that begins it and ends all of it.

    Attributes:
        log: Where the log is, as `open_log` takes it.
        publisher_log: Where it is for the publisher.
        port: Where listeners connect.
        servers: What can be done to them.
        disasters: What can be done to the log.
        rollbacks: How often the log was made to go back in time.
        environment: More variables of the servers.
    """

    log: str
    publisher_log: str
    port: int
    servers: Track
    disasters: Track
    environment: Mapping[str, str] = {}

    def __init__(self, seed: int) -> None:
        # One for each track, so that neither depends on when the other draws.
        self.server_dice, self.log_dice = random.Random(f"servers {seed}"), random.Random(f"log {seed}")
        self.rollbacks = 0
        self._server_logs: list[str] = []
        self._ends = contextlib.ExitStack()

    def begin(self) -> None:
        """Start everything."""
        raise NotImplementedError

    def serve(self, kind: ServerKind, app: str, port: int | None = None) -> Server:
        """Start a server."""
        return Server(kind, app, environment={LOG: self.log, **_UNMEASURED, **self.environment}, port=port)

    def retire(self, server: Server) -> None:
        """Kill a server, and keep what it has logged."""
        server.signal(signal.SIGKILL, group=True)
        self._server_logs.append(server.log())
        server.stop()

    def remember(self) -> None:
        """Make a copy of the log to go back to."""
        raise NotImplementedError

    def complaints(self) -> list[str]:
        """Return the last lines of the tracebacks in what the servers that are gone have logged."""
        found = re.findall(r"^Traceback .*\n(?:[ \t].*\n|\n)*(\S.*)$", "\n".join(self._server_logs), re.MULTILINE)
        return [line for line in found if line not in _CUT_OFF]

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as ends:
            ends.callback(self._ends.close)
            self.begin()
            ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()
