"""Notice that a stream on an event loop has been silent for long enough. Never touches the source."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from streamkit._engine.clock import Clock, Timer


class Patient(Protocol):
    """What may be silent only so long."""

    @property
    def clock(self) -> Clock:
        """The time to wait by."""

    def patience(self, *, started: bool) -> float | None:
        """Return the seconds of silence after which a filler is due; None for never."""


class Keepalive:
    """Calls `fill` whenever nothing was sent for as long as the stream allows.

    Data that is sent costs no timer: it only moves the next look.
    """

    def __init__(self, stream: Patient, loop: AbstractEventLoop, fill: Callable[[], object]) -> None:
        self._stream = stream
        self._loop = loop
        self._fill = fill
        self._started = False
        self._last_sent = stream.clock.now()
        self._timer: Timer | None = None
        self._arm()

    def sent(self) -> None:
        """Note that something has just left."""
        self._started, self._last_sent = True, self._stream.clock.now()

    def stop(self) -> None:
        """Never call `fill` again."""
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        patience = self._stream.patience(started=self._started)
        if patience is not None:
            delay = max(0.0, self._last_sent + patience - self._stream.clock.now())
            self._timer = self._stream.clock.call_later(self._loop, delay, self._look)

    def _look(self) -> None:
        patience = self._stream.patience(started=self._started) or 0.0
        due = self._stream.clock.now() - self._last_sent >= patience
        if due:
            self.sent()
        self._arm()
        if due:
            self._fill()
