"""Where a reader goes on whose position the log does not have, when the log changes while that is found out."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from streamkit.channels import MemoryLog
from streamkit.channels._history import View
from streamkit.channels._position import Position


class ChangingLog(MemoryLog):
    """A log that is wiped or restored after so many looks at it."""

    def __init__(self) -> None:
        super().__init__(now=lambda: self.time)
        self.time = 1000.0
        self.changes: dict[int, Callable[[], None]] = {}
        self._looks = 0

    def publish(self, *payloads: bytes) -> Position:
        """Publish some, a second apart; return the position of the last."""
        for payload in payloads:
            self.time += 1
            position = self.append("a", b"t\n" + payload).position
        return position

    def copy(self) -> Callable[[], None]:
        """Return what restores the log as it is now."""
        channels = deepcopy(self._stores.here().channels)
        return lambda: self._replace(channels)

    def wipe(self) -> None:
        """Lose everything."""
        self._replace({})

    def _replace(self, channels: dict[str, Any]) -> None:
        self.time += 1
        self._stores.here().channels = deepcopy(channels)

    def at_looks(self, changes: dict[int, Callable[[], None]]) -> None:
        """Make a change just before the so many-th look from now on."""
        self._looks, self.changes = 0, changes

    def _view(self, channel: str, offset: int, count: int, known: Position | None) -> View:
        self._looks += 1
        if (change := self.changes.pop(self._looks, None)) is not None:
            change()
        return super()._view(channel, offset, count, known)


@pytest.mark.parametrize("look", range(2, 6))
def test_reader_is_not_led_back_by_a_log_that_was_wiped_meanwhile(look: int) -> None:
    """A place in a log that is gone is none: were that log restored once more, the reader would see it all again."""
    log = ChangingLog()
    log.publish(b"1", b"2", b"3")
    restore = log.copy()
    log.wipe()
    seen = log.publish(b"4", b"5")
    restore()
    log.at_looks({look: log.wipe})
    page = log.page("a", seen)
    assert page.gap == "reset"
    assert page.at == page.head
    restore()
    assert log.page("a", page.at).entries == []


@pytest.mark.parametrize("look", range(2, 5))
def test_reader_is_not_led_back_by_a_log_that_was_lost_and_restored_meanwhile(look: int) -> None:
    """A place that a log still has may be one too early, where the log was another while it was found."""
    log = ChangingLog()
    log.publish(b"1")
    short = log.copy()
    log.publish(b"2", b"3")
    long = log.copy()
    log.wipe()
    seen = log.publish(b"4")
    long()
    log.at_looks({look: short, look + 1: long})
    page = log.page("a", seen)
    assert page.gap == "reset"
    assert page.at == page.head
    assert page.entries == []
