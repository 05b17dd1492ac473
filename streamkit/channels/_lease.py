"""Say that the producer of a detached stream lives, and hear whether somebody else has ended the stream.

The lease is renewed three times within its time, and sooner after a time in which the log was down. Every renewal looks
whether the channel is sealed, and so does every hint: what the log tells, and what the producer finds by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from streamkit._engine.clock import Clock
from streamkit._engine.handoff import wait_in_loop
from streamkit._engine.register import logger
from streamkit.channels._ends import PREFIX
from streamkit.channels._log import Log
from streamkit.channels._records import Records
from streamkit.channels._workers import Calls
from streamkit.errors import LogUnavailableError

PAUSE = 0.5
"""Seconds until a log that is down, or full, is tried again."""


class Setting(NamedTuple):
    """What all producers of one `Detached` share.

    Attributes:
        log: Where the streams are kept.
        records: The streams of that log.
        calls: For what is asked of both.
        clock: What waits go by.
        lease: Seconds after which a producer that was not heard of is taken for lost.
        grace: Seconds that a producer has to finish when its process is told to leave.
        waits: Whether it waits where its log is full.
        encode: Returns what is stored of an item.
        error_text: Returns what readers are told of an exception.
    """

    log: Log
    records: Records
    calls: Calls
    clock: Clock
    lease: float
    grace: float
    waits: bool
    encode: Callable[[object], bytes]
    error_text: Callable[[Exception], str] | None


class Lease:
    """The lease of one stream, on the event loop of its producer.

    Args:
        setting: What all of them share.
        channel: Of the stream.
        owner: Stands for the producer.
        sealed: Called when somebody else has recorded an end.
    """

    def __init__(self, setting: Setting, channel: str, owner: str, sealed: Callable[[], object]) -> None:
        self._setting = setting
        self._channel = channel
        self._owner = owner
        self._sealed = sealed
        self._due = 0.0  # when it is renewed next
        self._until: float | None = None  # when it is given up, in a process that is told to leave
        self._is_down = False
        self._is_hinted = False
        self._wake: Callable[[], object] | None = None

    async def keep(self) -> None:
        """Renew it in time, and look whether an end was recorded when there is a hint; until it is cancelled."""
        clock, pause = self._setting.clock, self._setting.lease / 3
        self._due = self._due or clock.now() + pause
        while True:
            self._is_hinted, renews = False, clock.now() >= self._due
            if renews:
                self._due = clock.now() + pause
            if not await self._renew_or_look(renews=renews):
                self._due = clock.now() + min(PAUSE, pause)  # it may have run out when the log is back
            await wait_in_loop(self._when_hinted, max(self._due - clock.now(), 0.0), clock)

    def shorten(self, seconds: float) -> None:
        """Give it up after so long, in a process that may be gone before it can record an end."""
        now = self._setting.clock.now()
        self._due, self._until = now, now + seconds
        self.hint()

    def hint(self) -> None:
        """Have it looked at once whether an end was recorded."""
        self._is_hinted = True
        wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    def log_is_down(self, exc: Exception) -> None:
        """Say once that the stream waits for its log."""
        if not self._is_down:
            logger.warning("The detached stream %r waits for its log: %s", key_of(self._channel), exc)
        self._is_down = True

    def log_answers(self) -> None:
        """Say that it goes on, where it has waited."""
        if self._is_down:
            logger.warning("The detached stream %r goes on: its log is back", key_of(self._channel))
        self._is_down = False

    def _when_hinted(self, wake: Callable[[], object]) -> bool:
        self._wake = wake
        return not self._is_hinted

    async def _renew_or_look(self, *, renews: bool) -> bool:
        """Return whether the log has answered."""
        setting = self._setting
        left = math.inf if self._until is None else max(self._until - setting.clock.now(), 0.1)

        def ask() -> bool:
            if renews:
                setting.records.renew(self._channel, self._owner, min(setting.lease, left))
            return setting.records.is_sealed(self._channel)

        try:
            if await setting.calls.run(ask):
                self._sealed()
        except LogUnavailableError as exc:
            self.log_is_down(exc)
            return False
        self.log_answers()
        return True


def key_of(channel: str) -> str:
    """Return the key of the stream that a channel belongs to."""
    return channel.removeprefix(PREFIX)
