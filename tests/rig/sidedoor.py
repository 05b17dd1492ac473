"""A second way into a served process, beside its HTTP server: a Unix socket that answers from a thread of its own.

A server with one worker thread cannot answer a second request while a stream is open, and what it holds is not to be
disturbed by asking. The thread also ends the server's process group when the test run is gone.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from streamkit import drain
from tests.rig.recorder import recorder
from tests.rig.resources import Resources, snapshot
from tests.rig.stream import Stalled

ADDRESS = "STREAMKIT_RIG_SIDEDOOR"
OWNER = "STREAMKIT_RIG_OWNER"


def _answer(order: dict[str, Any]) -> Any:
    answers: dict[str, Callable[[], Any]] = {
        "state": recorder.state,
        "resources": lambda: asdict(snapshot()),
        "reset": recorder.reset,
        "allow": lambda: recorder.allow(order["items"]),
        "drain": drain,
        "pid": os.getpid,
    }
    return answers[order["do"]]()


def _serve(listener: socket.socket, owner: int) -> None:
    listener.settimeout(2.0)
    while True:
        try:
            caller, _ = listener.accept()
        except TimeoutError:
            if not _alive(owner):
                os.killpg(os.getpgrp(), signal.SIGKILL)
            continue
        with caller:
            caller.settimeout(5.0)
            with caller.makefile("rwb") as lines:
                lines.write(json.dumps(_answer(json.loads(lines.readline()))).encode() + b"\n")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def open_side_door() -> None:
    """Answer at the address in the environment, where there is one; called by each served application module."""
    recorder.watch_logs()
    address = os.environ.get(ADDRESS)
    if address is None:
        return
    listener = socket.socket(socket.AF_UNIX)
    own = f"{address}-{os.getpid()}"  # several workers may come up at the same time; the last one answers
    listener.bind(own)
    listener.listen(16)
    Path(own).rename(address)
    owner = int(os.environ[OWNER])
    threading.Thread(target=_serve, args=(listener, owner), name="rig-side-door", daemon=True).start()


@dataclass(frozen=True)
class SideDoor:
    """Ask a served process; `path` None means this very process."""

    path: str | None = None

    def ask(self, do: str, **details: Any) -> Any:
        """Send one order and return the answer."""
        if self.path is None:
            return _answer({"do": do, **details})
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(30.0)  # counting all that a crowd has left takes a busy machine seconds
            caller.connect(self.path)
            with caller.makefile("rwb") as lines:
                lines.write(json.dumps({"do": do, **details}).encode() + b"\n")
                lines.flush()
                return json.loads(lines.readline())

    def reset(self) -> None:
        """Forget all records and logs."""
        self.ask("reset")

    def allow(self, items: int) -> None:
        """Let gated streams yield `items` items in all."""
        self.ask("allow", items=items)

    def streams(self) -> list[dict[str, Any]]:
        """Return the records of streams that began since the reset."""
        return list(self.ask("state")["streams"])

    def logs(self) -> list[dict[str, Any]]:
        """Return what streamkit logged since the reset."""
        return list(self.ask("state")["logs"])

    def reasons(self) -> list[str]:
        """Return what `on_close` was told since the reset, where a scenario has one."""
        return list(self.ask("state")["reasons"])

    def resources(self) -> Resources:
        """Count what the process holds."""
        return Resources(**self.ask("resources"))

    def wait_for(
        self, ready: Callable[[dict[str, Any]], bool], within: float = 5.0, *, what: str = "the state"
    ) -> dict[str, Any]:
        """Return the first record that is `ready`, asked again until `within` seconds have passed."""
        until = time.monotonic() + within
        while True:
            streams = self.streams()
            for record in streams:
                if ready(record):
                    return record
            if time.monotonic() > until:
                raise Stalled(f"no sign of {what} within {within} s: {streams}")
            time.sleep(0.02)
