"""The clock of `streamkit.testing`, and what only tests of the engine do with it."""

from __future__ import annotations

from streamkit.testing._clock import Due, ManualClock, settle

__all__ = ["FakeClock", "settle"]


class FakeClock(ManualClock):
    """Moved by `await advance` for the running loop, or by one of these."""

    advance = ManualClock.advance_here

    @property
    def _sleepers(self) -> list[Due]:
        return [due for due in self._dues if due.loop is None]

    def move(self, seconds: float) -> None:
        """Let time pass for a thread that waits for sockets, too; the test wakes it."""
        self._now += seconds

    def advance_threads(self, seconds: float) -> None:
        """Let time pass for threads: once one sleeps, and until all that were due are awake."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._sleepers, 5), "no thread waits"
            self._now += seconds
            due = [sleeper for sleeper in self._sleepers if sleeper.at <= self._now]
        for sleeper in due:
            sleeper.fire()
