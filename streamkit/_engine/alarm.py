"""One call to come, on an event loop; set and called off from any thread. What is set last is what is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from streamkit._engine.clock import Clock, Timer
from streamkit._engine.handoff import call_threadsafe

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class Alarm:
    """Calls something when its time has come, unless it is called off before.

    Args:
        clock: The time to wait by.
        loop: Where the call happens; None for the loop that streamkit keeps.
    """

    __slots__ = ("_clock", "_loop", "_off", "_timer")

    def __init__(self, clock: Clock, loop: AbstractEventLoop | None) -> None:
        from streamkit._engine.background import background_loop

        self._clock = clock
        self._loop = loop or background_loop()
        self._off = False
        self._timer: Timer | None = None

    def set(self, seconds: float, call: Callable[[], None]) -> None:
        """Have `call` called when so much time has passed, in place of what was to be called before."""

        def arm() -> None:
            self._disarm()
            if not self._off:
                self._timer = self._clock.call_later(self._loop, seconds, call)

        call_threadsafe(self._loop, arm)

    def call_off(self) -> None:
        """Call nothing any more, whatever is set."""
        self._off = True
        call_threadsafe(self._loop, self._disarm)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
