"""No silent loss: whatever happens to a log, a reader sees each entry once and in order, or is told of a gap."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamkit.channels import Log
from streamkit.channels._position import Position
from tests.channels.logs import ALL, ROLLED_BACK, SHARED, STORES, Store, Time

MAX_EVENTS, MAX_AGE = 6, 60

Steps = list[tuple[str, int]]


@dataclass
class Reader:
    """A client that follows one channel and keeps what it got: numbers, and None for a gap."""

    at: Position | None
    begun: int
    got: list[int | None] = field(default_factory=list)

    def read(self, log: Log, count: int) -> bool:
        """Read one page; False where there was nothing."""
        page = log.page("a", self.at, count)
        before, self.at = self.at, page.at
        if page.gap is not None:
            self.got.append(None)
        for entry in page.entries:
            self.got.append(int(entry.payload or b""))
            self.at = entry.position
        return self.at != before

    def judge(self, published: int, *, undisturbed: bool) -> None:
        """Fail where a number came twice, or not in order, or is missing and nobody said so."""
        last, told = self.begun, False
        for number in self.got:
            if number is None:
                told = True
                continue
            assert number > last, f"{number} after {last} in {self.got}"
            assert told or number == last + 1, f"silent loss before {number} in {self.got}"
            last, told = number, False
        assert told or last == published, f"silent loss after {last} in {self.got}, published {published}"
        assert None not in self.got or not undisturbed, f"a gap where nothing was lost: {self.got}"


class World:
    """A store, the processes that use it, and readers that come and go.

    All processes know how far the channel was, as those with subscribers do: what none of them knows is lost to all.
    """

    def __init__(self, store: Store, logs: list[Log]) -> None:
        self.store, self.logs = store, logs
        self.published = 0
        self.undisturbed = True
        self.snapshots: list[Callable[[], object]] = []
        self.readers = [Reader(logs[0].page("a", None).head, 0)]

    def log(self, number: int) -> Log:
        """Return one of the processes' handles."""
        return self.logs[number % len(self.logs)]

    def do(self, step: str, number: int) -> None:
        """Do one step."""
        assert isinstance(self.store.now, Time)
        self.store.now.seconds += 0.01
        getattr(self, f"_{step}")(number)

    def _append(self, number: int) -> None:
        for _ in range(number % 4 + 1):
            self.published += 1
            self.log(number).append("a", b"%d" % self.published)
        for log in self.logs:
            log.page("a", None, 0)
        self.undisturbed = self.undisturbed and self.published <= MAX_EVENTS

    def _read(self, number: int) -> None:
        self.readers[number % len(self.readers)].read(self.log(number // 3), number % 3)

    def _begin(self, number: int) -> None:
        head = self.log(number).page("a", None, 0).head
        self.readers.append(Reader(head, self.published))

    def _wait(self, number: int) -> None:
        assert isinstance(self.store.now, Time)
        self.store.now.seconds += MAX_AGE * (number + 1) / 3
        self.undisturbed = False

    def _lose(self, _: int) -> None:
        self.store.lose()
        self.undisturbed = False

    def _snapshot(self, _: int) -> None:
        self.snapshots.append(self.store.snapshot())

    def _restore(self, number: int) -> None:
        if self.snapshots:
            self.snapshots[number % len(self.snapshots)]()
            self.undisturbed = False

    def end(self) -> None:
        """Let all readers read on, and judge what they got."""
        for reader in self.readers:
            for _ in range(100):
                if not reader.read(self.logs[0], 2):
                    break
            else:
                raise AssertionError("a reader goes on for ever")
            reader.judge(self.published, undisturbed=self.undisturbed)


def steps(*kinds: str) -> st.SearchStrategy[Steps]:
    """Make stories of steps of these kinds."""
    return st.lists(st.tuples(st.sampled_from(kinds), st.integers(0, 11)), max_size=25)


def play(kind: str, story: Steps) -> None:
    """Go through a story and judge what the readers got."""
    with tempfile.TemporaryDirectory() as directory:
        store = STORES[kind](Path(directory), max_events=MAX_EVENTS, max_age=MAX_AGE)
        try:
            world = World(store, [store.log, store.open()] if kind in {*SHARED, *ROLLED_BACK} else [store.log])
            for step, number in story:
                world.do(step, number)
            world.end()
        finally:
            store.close()


slow = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("kind", ALL)
@slow
@given(story=steps("append", "append", "read", "read", "begin", "wait"))
def test_reader_of_a_log_that_evicts_sees_everything_or_a_gap(kind: str, story: Steps) -> None:
    """Appends, pages of any size, readers that come late, and time that passes."""
    play(kind, story)


@pytest.mark.parametrize("kind", ROLLED_BACK)
@slow
@given(story=steps("append", "append", "read", "read", "begin", "wait", "lose", "snapshot", "restore", "restore"))
def test_reader_of_a_log_that_goes_back_sees_everything_or_a_gap(kind: str, story: Steps) -> None:
    """The same, and the log is lost or restored at any moment."""
    play(kind, story)
