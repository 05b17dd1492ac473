"""Listeners that come, stay for a while, vanish, and return; some read slowly, and some are silent before they go.

Each visit goes to one of several servers, as a load balancer would have it. How it ends is drawn when it begins:

- reset: by RST, with what was not read thrown away.
- closed: by FIN.
- silent: nothing is read any more, and the connection stays, as of a phone that has lost its network. The visitor comes
  back on another one at once; the old one is reset later.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Mapping, Sequence

from streamkit import Event
from tests.chaos.judge import Verdict
from tests.chaos.listeners import Connection, Listener, Manner
from tests.chaos.publisher import Published
from tests.rig.apps.numbers import NUMBERS

STAY = (1.0, 12.0)
"""Seconds from the first bytes of an answer until a visit ends."""

EARLY, EARLY_CHANCE = 0.5, 0.1
"""Some leave within so many seconds, often before there is an answer."""

NO_ANSWER = 30.0
"""Seconds after which nobody waits for one any more; far longer than a server takes unless others have its cores."""

SILENT_FOR = 8.0
"""Seconds that a silent connection is kept; more than twice what the server waits for a reader that takes nothing."""

PAUSE = (0.2, 0.8)
"""Seconds between two reads of who reads slowly."""

WAYS = ("reset", "closed", "silent")

COUNT = Manner("count")
COUNT_IN_THREAD = Manner("count&thread")

_RECEIVE_BUFFER = 8192
_LINGER_NOT = struct.pack("ii", 1, 0)  # what makes close() send RST
_MOST_NOTES = 30


class Visitor(Listener):
    """One listener that comes and goes.

    Attributes:
        ways: How often its visits ended in each way.
        held: Its connections, silent ones too.
        is_resting: Whether it stays away.
        is_staying: Whether it leaves no more by itself.
    """

    def __init__(self, ports: Sequence[int], manner: Manner, dice: random.Random) -> None:
        super().__init__(ports[0], manner, dice)
        self.ways: Counter[str] = Counter()
        self.held: list[_Visit] = []
        self._ports = ports
        self.is_resting = self.is_staying = False

    @property
    def dice(self) -> random.Random:
        """Of all that it draws."""
        return self._dice

    def open(self) -> None:
        """Connect to one of the servers, unless it rests or is about to."""
        is_opening = self._task is not None and not self._task.done()
        if not (self.is_resting or is_opening or self._connection is not None):
            self._port = self._dice.choice(self._ports)
            super().open()

    def _connect(self) -> Connection:
        self._connection = _Visit(self)
        return self._connection

    def note(self, text: str) -> None:
        """Remember what happened last."""
        super().note(text)
        del self.notes[:-_MOST_NOTES]

    def rest(self) -> None:
        """Leave, and stay away; in the loop."""
        self.is_resting = True
        for visit in list(self.held):
            visit.end(self._dice.choice(WAYS[:2]))

    def resume(self) -> None:
        """Come back after a rest; in the loop."""
        self.is_resting = False
        self.open()

    def stay(self) -> None:
        """Leave no more by itself; in the loop."""
        self.is_staying = True
        for visit in self.held:
            visit.stay()

    def end(self) -> None:
        """Leave for good; in the loop."""
        super().end()
        for visit in list(self.held):
            visit.cut()


class Counting(Visitor):
    """A visitor who reads a count slowly; it never ends, so only what comes out of turn is kept."""

    def __init__(self, ports: Sequence[int], manner: Manner, dice: random.Random) -> None:
        super().__init__(ports, manner, dice)
        self._last = 0

    def take(self, event: Event) -> None:
        """Take a number."""
        super().take(event)
        number = self.histories[NUMBERS].pop()
        if number != self._last + 1:
            self.histories[NUMBERS].append(number)
        self._last = number or 0

    def has(self, numbers: Mapping[str, int]) -> bool:
        """Tell whether it has anything."""
        return self._last > 0

    def verdicts(self, published: Mapping[str, Published]) -> list[Verdict]:
        """Return a verdict in which each number is a fault that is not the next after the one before."""
        return [Verdict(self._last, disordered=tuple(number or 0 for number in self.histories[NUMBERS]))]


class _Visit(Connection):
    """One visit, which ends by itself."""

    def __init__(self, visitor: Visitor) -> None:
        super().__init__(visitor)
        self._visitor = visitor
        self._is_slow = isinstance(visitor, Counting)
        self._is_silent = self._is_early = self._has_answer = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request, and draw the end."""
        if self._is_slow:
            self._socket(transport).setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        super().connection_made(transport)
        self._visitor.held.append(self)
        if self._visitor.is_resting:
            self.end("closed")
        else:
            dice = self._visitor.dice
            self._is_early = dice.random() < EARLY_CHANCE
            self._later(dice.uniform(0.0, EARLY) if self._is_early else NO_ANSWER, dice.choice(WAYS))

    def data_received(self, data: bytes) -> None:
        """Read, and read on later where it is slow."""
        if self._is_silent:
            return
        if not (self._has_answer or self._is_early or self._visitor.is_resting):
            dice = self._visitor.dice
            self._later(dice.uniform(*STAY), dice.choice(WAYS))
        self._has_answer = True
        super().data_received(data)
        transport = self._transport
        if self._is_slow and transport is not None and not transport.is_closing():
            transport.pause_reading()
            asyncio.get_running_loop().call_later(self._visitor.dice.uniform(*PAUSE), self._go_on)

    def connection_lost(self, exc: Exception | None) -> None:
        """Come back, unless that was done before."""
        if self._timer is not None:
            self._timer.cancel()
        if self in self._visitor.held:
            self._visitor.held.remove(self)
        if not self._is_silent:
            super().connection_lost(exc)

    def end(self, way: str) -> None:
        """End the visit in this way."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._visitor.ways[way] += 1
        if way == "silent":
            self._is_silent = True
            transport.pause_reading()
            self._later(SILENT_FOR, "reset")
            self._visitor.come_back()
        elif way == "reset":
            self._socket(transport).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            transport.abort()
        else:
            transport.close()

    def stay(self) -> None:
        """Do not end by itself, unless it is silent already."""
        if self._timer is not None and not self._is_silent:
            self._timer.cancel()

    def _later(self, seconds: float, way: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._visitor.is_staying and not self._is_silent:
            return
        self._timer = asyncio.get_running_loop().call_later(seconds, self.end, way)

    def _go_on(self) -> None:
        if not self._is_silent and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    @staticmethod
    def _socket(transport: asyncio.BaseTransport) -> socket.socket:
        found = transport.get_extra_info("socket")
        assert found is not None
        return found  # type: ignore[no-any-return]
