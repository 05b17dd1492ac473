"""One run of the endurance test: a crowd comes and goes, in rounds, and after each round the server is looked at.

Two servers share a log. The steady one lives through the whole run, and what it holds while nobody is connected is
compared from round to round. The other is restarted or killed all the time; its visitors go to the first. In the first
round it does not run at all: the steady one is then as full as it will ever be.
"""

from __future__ import annotations

import random
import re
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.chaos.judge import Verdict
from tests.chaos.listeners import Crowd, Manner
from tests.chaos.publisher import Published, Publisher
from tests.chaos.resting import MOST_MORE, excess, growth
from tests.chaos.stage import Stage
from tests.chaos.visitors import COUNT, COUNT_IN_THREAD, WAYS, Counting, Visitor
from tests.rig.apps.numbers import NUMBERS
from tests.rig.resources import ONE_ARENA, Resources
from tests.rig.servers import Server, ServerKind, free_port

RATE = 4.0
"""Numbers a second: each goes to everybody."""

CATCH_UP = 120.0
"""Seconds within which everybody must have had an answer, and at the end the last number; far fewer as a rule."""

AT_REST = 90.0
"""Seconds within which a server must have let go of everything; far fewer where nothing else runs."""

RESTARTS = (2.0, 6.0)
"""Seconds between two."""

_FILES = 16384

# What is logged of a fault that nobody has caught, besides its traceback.
_ALARM = re.compile(r"was destroyed but|was never (?:awaited|retrieved)|Exception ignored|\w+Warning: |CRITICAL")


class EnduranceStage(Stage):
    """The two servers.

    Args:
        seed: Of what is drawn.
        home: A directory for the log.
        kind: How they are served.
        app: What.
    """

    # Each thread keeps small pieces that it has freed, which would count as in use: more and more of them, for hours.
    environment = {**ONE_ARENA, "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0"}  # noqa: RUF012

    def __init__(self, seed: int, home: Path, kind: ServerKind, app: str) -> None:
        super().__init__(seed)
        self.log = self.publisher_log = str(home / "log.db")
        self.restarts: Counter[str] = Counter()
        self.slow_clients = 0
        self._served = kind, app
        self._stop = threading.Event()
        self._other: Server | None = None
        self._restarting: threading.Thread | None = None
        self._errors: list[BaseException] = []

    def begin(self) -> None:
        """Start the steady one."""
        self.steady = self.serve(*self._served)
        self._ends.callback(self.retire, self.steady)
        self.port = self.steady.port
        self.ports = [self.port]

    def begin_restarts(self) -> None:
        """Start the other, and go on doing so."""
        port = free_port()
        self._restarting = threading.Thread(target=self._keep_restarting, args=[port], daemon=True)
        self._ends.callback(self._retire_other)
        self._other = self.serve(*self._served, port)
        self.ports.append(port)
        self._restarting.start()

    def end_restarts(self) -> None:
        """Leave the other running."""
        self._stop.set()
        if self._restarting is not None:
            self._restarting.join(60.0)

    def retire(self, server: Server) -> None:
        """Kill a server, and count those that it has cut off."""
        super().retire(server)
        self.slow_clients = sum(log.count("closed: slow_client") for log in self._server_logs)

    def complaints(self) -> list[str]:
        """Return the last lines of tracebacks in what the servers have logged, and what else tells of a fault."""
        lines = "\n".join(self._server_logs).splitlines()
        return super().complaints() + [line for line in lines if _ALARM.search(line)]

    def _keep_restarting(self, port: int) -> None:
        ways: list[str] = []
        try:
            while not self._stop.wait(self.server_dice.uniform(*RESTARTS)):
                assert self._other is not None
                # In pairs, so that a short run has both.
                ways = ways or self.server_dice.sample(["terminated", "killed"], 2)
                way = ways.pop()
                if way == "terminated":
                    self._other.signal(signal.SIGTERM)
                    self._other.wait_until_gone(30.0)
                other, self._other = self._other, None
                self.retire(other)
                self._stop.wait(self.server_dice.uniform(0.0, 1.0))
                self._other = self.serve(*self._served, port)
                self.restarts[way] += 1
        except BaseException as error:
            self._errors.append(error)

    def _retire_other(self) -> None:
        self.end_restarts()
        if self._other is not None:
            self.retire(self._other)
        if self._errors:
            raise self._errors[0]


class Visitors(Crowd[Visitor]):
    """Visitors in a thread of their own.

    Args:
        ports: Of the servers; one may be added later.
        count: How many.
        seed: Of their dice.
    """

    def __init__(self, ports: list[int], count: int, seed: int) -> None:
        dice = random.Random(seed)
        super().__init__([_visitor(ports, place, random.Random(dice.random())) for place in range(count)])

    def rest(self) -> None:
        """Have all leave, and stay away; wait until they have."""
        self._all(Visitor.rest)
        self._wait(lambda visitor: not visitor.held, 60.0, "stay away")

    def resume(self) -> None:
        """Have all come back."""
        self._all(Visitor.resume)

    def stay(self) -> None:
        """Have all leave no more by themselves: on a machine with much else to do they would never catch up."""
        self._all(Visitor.stay)

    def _all(self, do: Callable[[Visitor], None]) -> None:
        for visitor in self.listeners:
            self._loop.call_soon_threadsafe(do, visitor)

    def connected(self) -> int:
        """Return how many connections they hold."""
        return sum(len(visitor.held) for visitor in self.listeners)


@dataclass
class Endured:
    """What a run has come to; printed at its end.

    Attributes:
        seed: It can be had again by it.
        rests: What the steady server held after each round.
        most: The most of it that there was at a time.
        counts: Of connections, of how they ended, of restarts.
        verdicts: One for each visitor.
        complaints: Of the servers.
        evidence: What happened to the first visitor that has a fault.
    """

    seed: int
    rests: list[Resources] = field(default_factory=list)
    most: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    verdicts: list[Verdict] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    evidence: str = ""

    def conclude(self, stage: EnduranceStage, visitors: Sequence[Visitor], published: Mapping[str, Published]) -> None:
        """Judge everybody, and add up."""
        self.complaints = stage.complaints()
        self.counts += stage.restarts
        self.counts.update({"published": published[NUMBERS].last, "cut off as slow": stage.slow_clients})
        for visitor in visitors:
            self.counts += visitor.ways
            self.counts.update(opened=visitor.opened, refused=visitor.refused)
            verdicts = visitor.verdicts(published)
            self.verdicts += verdicts
            if not self.evidence and any(verdict.faults or verdict.gaps for verdict in verdicts):
                notes = "\n".join(f"{at:.3f} {text}" for at, text in visitor.notes)
                self.evidence = f"{visitor.manner} {verdicts}\n{notes}"

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {_listed(self.counts)}\n"
            f"  delivered {sum(verdict.delivered for verdict in self.verdicts)},"
            f" faults {sum(verdict.faults for verdict in self.verdicts)},"
            f" gaps {sum(verdict.gaps for verdict in self.verdicts)}; at most {_listed(self.most)}\n"
            f"  at rest {'; '.join(map(_shown, self.rests))}"
        )

    def check(self) -> None:
        """Fail where something was lost, came twice or has grown, or where a way to leave was not tried."""
        assert not sum(verdict.faults + verdict.gaps for verdict in self.verdicts), f"{self}\n{self.evidence}"
        assert not (found := growth(self.rests)), f"{found}\n{self}"
        assert not self.complaints, f"{self.complaints[:5]}\n{self}"
        missing = {*WAYS, "terminated", "killed"} - {name for name, count in self.counts.items() if count}
        assert not missing, f"{missing} did not happen\n{self}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))


def _shown(held: Resources) -> str:
    counts = f"{held.threads} threads, {held.tasks} tasks, {held.fds} files, {held.blocks} blocks"
    return f"{counts}, {held.rss >> 10} KiB, {held.heap >> 10} KiB heap"


def endure(stage: EnduranceStage, seed: int, *, visitors: int, rounds: int, seconds: float) -> Endured:
    """Return what a run has come to.

    Args:
        stage: The servers.
        seed: Of the visitors.
        visitors: How many.
        rounds: How many, with those of the warm-up.
        seconds: How long each takes, without the rest after it.

    Raises:
        AssertionError: A visitor did not catch up, or the server does not come to rest, in time.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FILES, hard), hard))  # the servers inherit it
    found = Endured(seed)
    with stage, Visitors(stage.ports, visitors, seed) as crowd:
        crowd.wait_until_placed(CATCH_UP)
        with Publisher(stage.publisher_log, RATE, seed, burst=0) as publisher:
            found.rests.append(_round(stage, crowd, seconds, found))
            stage.begin_restarts()
            for _ in range(rounds - 1):
                crowd.resume()
                found.rests.append(_round(stage, crowd, seconds, found))
            stage.end_restarts()
            crowd.stay()
            crowd.resume()
            published = publisher.stop(60.0)
        crowd.wait_for({NUMBERS: published[NUMBERS].last}, CATCH_UP)
    found.conclude(stage, crowd.listeners, published)
    return found


def _round(stage: EnduranceStage, crowd: Visitors, seconds: float, found: Endured) -> Resources:
    """Let the crowd come and go for a while, then have it leave; return what the steady server holds after that."""
    process = psutil.Process(stage.steady.side_door.ask("pid"))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.5)
        now = {
            "connections": crowd.connected(),
            "files": process.num_fds(),
            "threads": process.num_threads(),
            "KiB": process.memory_info().rss >> 10,
        }
        found.most = {name: max(count, found.most.get(name, 0)) for name, count in now.items()}
    crowd.rest()
    return _settled(stage.steady, found.rests)


def _settled(server: Server, rests: Sequence[Resources]) -> Resources:
    """Return what the server holds once that stands still, and is no more than after the warm-up, or is late."""
    until = time.monotonic() + AT_REST
    before = server.side_door.resources()
    while True:
        time.sleep(0.5)
        now = server.side_door.resources()
        still = all(getattr(now, name) == getattr(before, name) for name in MOST_MORE)
        if (still and not excess(now, rests)) or time.monotonic() > until:
            return now
        before = now


def _visitor(ports: list[int], place: int, dice: random.Random) -> Visitor:
    """Of a hundred, ten read a count slowly, and two one that is made in a thread."""
    if place % 100 < 12:
        return Counting(ports, COUNT if place % 100 < 10 else COUNT_IN_THREAD, dice)
    return Visitor(ports, Manner(""), dice)
