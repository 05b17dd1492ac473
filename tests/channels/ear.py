"""A watcher that remembers what it was told and waits for more, and what else the tests of RedisLog look at."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from streamkit.channels._entry import Entry
from tests.rig.valkey import Valkey


class Ear:
    """Pass it to `Log.watch`.

    Attributes:
        looks: How often it was told to look again.
        entries: What it was told.
    """

    def __init__(self) -> None:
        self.looks = 0
        self.entries: list[Entry] = []
        self._changed = threading.Condition()

    def __call__(self, entries: list[Entry] | None) -> None:
        """Take what a log tells."""
        with self._changed:
            self.looks += entries is None
            self.entries += entries or ()
            self._changed.notify_all()

    def wait_for(self, ready: Callable[[], bool], within: float = 10.0) -> None:
        """Wait until something that depends on what it was told holds."""
        with self._changed:
            assert self._changed.wait_for(ready, within), f"{self.looks} looks, {self.payloads} within {within} s"

    def wait_for_look(self, number: int = 1) -> None:
        """Wait until it was told to look that often."""
        self.wait_for(lambda: self.looks >= number)

    @property
    def payloads(self) -> list[bytes]:
        """What was published."""
        return [entry.payload or b"" for entry in self.entries]


def until(ready: Callable[[], object], within: float = 10.0) -> None:
    """Wait until something holds that nobody tells of."""
    end = time.monotonic() + within
    while not ready():
        assert time.monotonic() < end, f"not within {within} s"
        time.sleep(0.01)


def threads() -> list[str]:
    """Return the threads of RedisLog in this process."""
    return [thread.name for thread in threading.enumerate() if thread.name == "streamkit-redis"]


def subscriptions(valkey: Valkey, name: str) -> list[int]:
    """Return how many channels each connection to a database's log has; `name` is the client's."""
    return [int(line["sub"]) for line in valkey.listeners() if line["name"] == name]


def named(valkey: Valkey, prefix: str) -> str:
    """Return a URL by which the server can tell the connections of this test."""
    return f"{valkey.url}?client_name={prefix}"
