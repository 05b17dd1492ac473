"""A watcher that remembers what it was told, and waits for more."""

from __future__ import annotations

import threading
from collections.abc import Callable

from streamkit.channels._entry import Entry


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
