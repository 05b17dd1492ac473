"""Streams opened and dropped at random moments leave nothing behind: no task, thread, descriptor, generator, memory.

All rounds are the same draw from one seed: a failure can be run again, and no round has a higher peak than another,
which an allocator would keep. A server with few threads gets as many streams at
a time as it can hold. What a server itself keeps, such as a pool that grows on demand, is full after round two, with
which the last round is compared.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from tests.rig.http import HTTPStream
from tests.rig.recorder import RELEASED
from tests.rig.requirements import needs
from tests.rig.resources import ONE_ARENA, Resources
from tests.rig.servers import SERVERS, Server, ServerKind
from tests.rig.stream import Stalled

# How many streams a server can hold at a time, where that is not a matter of memory.
AT_A_TIME = {"gunicorn-sync": 1, "gunicorn-gthread": 12, "granian-wsgi": 12, "waitress": 12, "werkzeug": 50}
MANY = 100

MODERATE = ("sync/ticking", "async/ticking", "sync/finite")
FAST = ("sync/flood", "async/flood", "sync/spinning", "async/spinning")
# An idle sync source under a worker of one thread finds out only at its next item that nobody listens.
IDLE = ("async/lively", "async/finite", "sync/lively")

KINDS = [pytest.param(kind, id=name, marks=needs(*kind.parts)) for name, kind in SERVERS.items()]


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Serve the application without a framework."""
    kind: ServerKind = request.param
    with Server(kind, f"tests.rig.apps.{kind.interface}:app", environment=ONE_ARENA) as server:
        yield server


def _drop(stream: HTTPStream, dice: random.Random) -> None:
    """Leave a stream, sometimes unread, sometimes in the middle of a frame."""
    if dice.random() < 0.5:
        stream.read_slowly(dice.randrange(1, 4096), 0.0, dice.randrange(3))
    stream.leave(reset=dice.random() < 0.5)


def _scenarios(kind: ServerKind) -> tuple[str, ...]:
    if kind.name == "daphne":
        # It takes all that a fast source makes into memory, which is then what would be measured.
        return MODERATE + IDLE
    return MODERATE + FAST if kind.one_at_a_time else MODERATE + FAST + IDLE


def _one_round(server: Server, streams: int, dice: random.Random) -> None:
    batch = AT_A_TIME.get(server.kind.name, MANY)
    scenarios = _scenarios(server.kind)
    while streams > 0:
        opened = [server.open(f"/{dice.choice(scenarios)}") for _ in range(min(batch, streams))]
        streams -= len(opened)
        due = sorted((time.monotonic() + dice.uniform(0.0, 0.1), number) for number in range(len(opened)))
        for at, number in due:
            time.sleep(max(0.0, at - time.monotonic()))
            _drop(opened[number], dice)


def _at_rest(now: Resources, before: Resources) -> bool:
    counts = (now.threads, now.tasks, now.fds)
    return now.generators == 0 and counts == (before.threads, before.tasks, before.fds)


def _settled(server: Server, reference: Resources | None = None, within: float = 20.0) -> Resources:
    """Return what the server holds once all sources are closed and the counts stand still.

    With a `reference` wait on while there is more than that: some servers keep a connection for seconds after its
    client has left, and several tasks with it.
    """
    # Requests that a server had queued begin only now, and must not wait for leave either.
    server.side_door.allow(RELEASED)
    until = time.monotonic() + within
    before = server.side_door.resources()
    while True:
        time.sleep(0.5)
        now = server.side_door.resources()
        late = time.monotonic() > until
        if _at_rest(now, before) and (late or reference is None or not _excess(now, reference)):
            server.side_door.reset()
            return now
        if late:
            raise Stalled(f"the server does not come to rest: {before}, then {now}")
        before = now


def _excess(now: Resources, reference: Resources) -> list[str]:
    """Name what there is more of than in the reference."""
    return [name for name in ("threads", "tasks", "fds") if getattr(now, name) > getattr(reference, name)]


def _rounds(server: Server, rounds: int, streams: int) -> list[Resources]:
    held: list[Resources] = []
    for number in range(rounds):
        _one_round(server, streams, random.Random(20261122))
        held.append(_settled(server, held[1] if number == rounds - 1 else None))
    return held


@pytest.mark.servers
def test_dropped_streams_leave_nothing_open(server: Server) -> None:
    """The short form: a few dozen streams per round, and counts alone."""
    held = _rounds(server, 3, 12 if server.kind.one_at_a_time else 60)
    assert _excess(held[-1], held[1]) == []


@pytest.mark.servers
@pytest.mark.soak
@pytest.mark.timeout(900)
def test_five_thousand_dropped_streams_leave_no_memory(server: Server) -> None:
    """The long form: five rounds of a thousand, memory within 5 % of what it was after the second."""
    held = _rounds(server, 5, 1000)
    assert _excess(held[-1], held[1]) == []
    assert held[-1].rss <= held[1].rss * 1.05, [f"{round.rss >> 10} KiB" for round in held]
