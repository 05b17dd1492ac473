"""What happens when a worker goes and its clients come back: a simulation, without a clock or a socket.

The old worker ends its streams one after the other from second 0 on, and then itself. Each client waits for the time
that it was told, or for its browser's own, and connects. As long as no worker listens it is refused, and waits as long
again: EventSource does that where a connection fails (WHATWG HTML, 9.2.3, "reestablish the connection"). A worker that
listens takes one client after the other, each for the processor time that a connection and its replay cost; who comes
meanwhile waits in a queue.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass

BROWSER_RETRY = 3.0
"""Seconds after which a browser that was told nothing comes back: Chrome and Safari; Firefox waits for 5."""

TENTH = 0.1


@dataclass(frozen=True)
class Storm:
    """One restart.

    Attributes:
        clients: How many come back.
        retry: Seconds, from and to, that the app has told each by `StreamPolicy(retry=…)`.
        jitter: Seconds, from and to, that a stream that is cut adds to them.
        leaving: Seconds in which the old worker ends all the streams; none where it is killed.
        down: Seconds until anybody takes connections again.
        service: Processor seconds that a connection and its replay cost.
        workers: How many take them; each client comes to any of them.
    """

    clients: int
    retry: tuple[float, float] = (0.0, 0.0)
    jitter: tuple[float, float] = (0.0, 0.0)
    leaving: float = 0.0
    down: float = 0.0
    service: float = 0.001
    workers: int = 1

    def __post_init__(self) -> None:
        if self.retry[0] + self.jitter[0] <= 0:
            raise ValueError(f"clients must wait at all, not for retry={self.retry} and jitter={self.jitter} seconds")

    @property
    def capacity(self) -> float:
        """Connections in a second that the workers can take, if they do nothing else."""
        return self.workers / self.service


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        attempts: When each client was at the door and was let in, in order.
        begun: When the stream of each began again, in order.
        refused: Connections that were refused before.
        longest: Seconds that one waited for its turn, at most.
    """

    attempts: Sequence[float]
    begun: Sequence[float]
    refused: int
    longest: float

    @property
    def peak(self) -> float:
        """Connections in the second in which most came."""
        return float(busiest(tenths(self.attempts)))


def simulate(storm: Storm, seed: int = 1) -> Outcome:
    """Return what comes of a restart; the same seed draws the same waits."""
    chance = random.Random(seed)
    attempts, refused = [], 0
    for number in range(storm.clients):
        wait = chance.uniform(*storm.retry) + chance.uniform(*storm.jitter)
        at = storm.leaving * (number + 1) / storm.clients + wait
        while at < storm.down:
            refused += 1
            at += wait
        attempts.append(at)
    attempts.sort()
    begun, longest = _serve(attempts, storm.service, storm.workers, chance)
    return Outcome(attempts, begun, refused, longest)


def _serve(attempts: Sequence[float], service: float, workers: int, chance: random.Random) -> tuple[list[float], float]:
    """Return when each is done, in order, and how long one waited for its turn at most."""
    free, begun, longest = [0.0] * workers, list[float](), 0.0
    for at in attempts:
        worker = chance.randrange(workers)
        start = max(at, free[worker])
        longest = max(longest, start - at)
        free[worker] = start + service
        heapq.heappush(begun, free[worker])
    return [heapq.heappop(begun) for _ in attempts], longest


def tenths(moments: Sequence[float]) -> list[int]:
    """Count the moments in each tenth of a second from 0 on."""
    counts = [0] * (int(max(moments) / TENTH + 1e-9) + 1)
    for moment in moments:
        counts[int(moment / TENTH + 1e-9)] += 1
    return counts


def busiest(counts: Sequence[int]) -> int:
    """Return the most that were counted in any ten tenths in a row."""
    return max(sum(counts[start : start + 10]) for start in range(len(counts)))


def deviation(one: Sequence[int], other: Sequence[int]) -> float:
    """Return how far two counts are apart at most, once added up from the first to any tenth; as a share of all.

    Raises:
        ValueError: They do not count as many.
    """
    if sum(one) != sum(other):
        raise ValueError(f"{sum(one)} and {sum(other)} are not as many")
    apart = most = 0
    for place in range(max(len(one), len(other))):
        apart += (one[place] if place < len(one) else 0) - (other[place] if place < len(other) else 0)
        most = max(most, abs(apart))
    return most / sum(one)
