"""Time, in one place, so that a test can own it.

Only waits go through here. The batching rule of the pumps reads the processor's clock directly: it measures work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from streamkit._engine.threads import Parker


class Timer(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None:
        """Call it off; harmless when it has happened."""


class Clock:
    """The system's time."""

    now: Callable[[], float] = staticmethod(time.monotonic)
    """Returns seconds on a clock that never goes back."""

    def call_later(self, loop: AbstractEventLoop, delay: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` on `loop` in `delay` seconds."""
        return loop.call_later(delay, callback)

    def park(self, parker: Parker, timeout: float | None) -> bool:
        """Put this thread to sleep until `parker` is woken; False when `timeout` seconds passed first."""
        return parker.park(timeout)


SYSTEM = Clock()

TIME: ContextVar[Callable[[Any], Clock]] = ContextVar("streamkit_time")
"""Gives the clock of each `Life` that is made in a Context; a test sets it, for responses that it does not build."""
