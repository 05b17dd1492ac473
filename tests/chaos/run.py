"""One run of the chaos test: begin, do the faults as the seed has drawn them, end, judge, and say what happened."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.judge import Verdict
from tests.chaos.listeners import Crowd, Listener, in_all_manners
from tests.chaos.publisher import Published, Publisher
from tests.chaos.schedule import Fault, draw
from tests.chaos.stage import Stage, Track

LISTENERS, RATE = 200, 200.0

CATCH_UP = 45.0
"""Seconds within which every listener must have the last number; far fewer where no other tests run."""


@dataclass
class Figures:
    """What a run has come to; printed at its end.

    Attributes:
        seed: It can be had again by it.
        published: By channel.
        kinds: Of faults, those that can happen.
        faults: How often each did.
        verdicts: One for each listener and channel.
        opened: Connections.
        refused: Answers that were none.
        false_gaps: Gap events beyond two for each time that the log went back: when a reader finds that it has, and
            when it comes to the place that is marked.
        caught_up: Seconds after the last number until everybody had it.
        complaints: Of the servers.
        evidence: What happened to the first listener that has a fault.
    """

    seed: int
    published: dict[str, Published] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    faults: Counter[str] = field(default_factory=Counter)
    verdicts: list[Verdict] = field(default_factory=list)
    opened: int = 0
    refused: int = 0
    false_gaps: int = 0
    caught_up: float = 0.0
    complaints: list[str] = field(default_factory=list)
    evidence: str = ""

    def total(self, name: str) -> int:
        """Add up one of what the verdicts list."""
        return sum(len(getattr(verdict, name)) for verdict in self.verdicts)

    def __str__(self) -> str:
        numbers = sum(each.last for each in self.published.values())
        unanswered = sum(len(each.unanswered) for each in self.published.values())
        return (
            f"seed {self.seed}: {numbers} numbers published, {unanswered} of them unanswered at first;"
            f" {self.opened} connections, {self.refused} refused\n"
            f"  delivered {sum(verdict.delivered for verdict in self.verdicts)},"
            f" duplicates {self.total('duplicates')}, silent losses {self.total('lost')},"
            f" out of order {self.total('disordered')}, never published {self.total('foreign')}\n"
            f"  gaps told {sum(verdict.gaps for verdict in self.verdicts)}, missing in them {self.total('told')},"
            f" false gaps {self.false_gaps}, published again and delivered twice {self.total('published_again')}\n"
            f"  the last number was everywhere after {self.caught_up:.1f} s\n"
            f"  {', '.join(f'{kind}: {count}' for kind, count in sorted(self.faults.items()))}"
        )

    def check(self) -> None:
        """Fail where the library is at fault, or a kind of fault has not happened."""
        assert not sum(verdict.faults for verdict in self.verdicts), f"{self}\n{self.evidence}"
        assert not self.false_gaps, f"{self}\n{self.evidence}"
        assert not self.complaints, self.complaints[:5]
        assert self.faults.keys() == self.kinds, f"{self.kinds - self.faults.keys()} did not happen\n{self}"


class Chaos:
    """Does what a seed has drawn, each track in a thread.

    Attributes:
        done: How often each kind of fault happened.
        story: What happened when.
    """

    def __init__(self, stage: Stage, crowd: Crowd[Listener], seed: int, *, seconds: float, faults: int) -> None:
        self.done: Counter[str] = Counter()
        self.story: list[tuple[float, str]] = []
        self._stage, self._crowd = stage, crowd
        self._dice = random.Random(f"listeners {seed}")
        self._errors: list[BaseException] = []
        tracks = (stage.servers, stage.disasters, {"some left": self._some_leave, "all left": self._all_leave})
        self.kinds = {kind for track in tracks for kind in track}
        drawn = [
            draw(list(track), max(len(track), faults * len(track) // len(self.kinds)), seconds, self._dice)
            for track in tracks
        ]
        self._threads = [
            threading.Thread(target=self._run, args=each, daemon=True) for each in zip(tracks, drawn, strict=True)
        ]
        self._begun = time.monotonic()

    def run(self) -> None:
        """Do all faults, and raise what went wrong in doing so."""
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _run(self, track: Track, faults: list[Fault]) -> None:
        try:
            for at, kind in faults:
                time.sleep(max(0.0, self._begun + at - time.monotonic()))
                if track is self._stage.disasters and self._stage.log_dice.random() < 0.5:
                    self._stage.remember()
                self.story.append((time.time(), kind))
                track[kind]()
                self.done[kind] += 1
                self.story.append((time.time(), f"{kind}: done"))
        except BaseException as error:
            self._errors.append(error)

    def _some_leave(self) -> None:
        self._crowd.leave(len(self._crowd.listeners) // 10, self._dice)

    def _all_leave(self) -> None:
        self._crowd.leave(len(self._crowd.listeners), self._dice)


def run(stage: Stage, seed: int, *, seconds: float, faults: int) -> Figures:
    """Return what a run on a stage has come to.

    Raises:
        AssertionError: A process did not end, or a listener did not catch up, in time.
    """
    figures = Figures(seed)
    with stage, Crowd(in_all_manners(stage.port, LISTENERS, seed)) as crowd:
        crowd.wait_until_placed(CATCH_UP)
        with Publisher(stage.publisher_log, RATE, seed) as publisher:
            stage.remember()
            chaos = Chaos(stage, crowd, seed, seconds=seconds, faults=faults)
            chaos.run()
            # Who goes on live at a gap has the last number for sure only if it is published after the last gap.
            crowd.wait_for(publisher.next_numbers(), CATCH_UP)
            figures.published = publisher.stop(20.0)
        begun = time.monotonic()
        crowd.wait_for({channel: each.last for channel, each in figures.published.items()}, CATCH_UP)
        figures.caught_up = time.monotonic() - begun
    figures.kinds, figures.faults, figures.complaints = chaos.kinds, chaos.done, stage.complaints()
    for listener in crowd.listeners:
        _judge(figures, listener, chaos.story, most_gaps=2 * stage.rollbacks)
    return figures


def _judge(figures: Figures, listener: Listener, story: list[tuple[float, str]], *, most_gaps: int) -> None:
    verdicts = listener.verdicts(figures.published)
    false_gaps = 0 if listener.manner.drops else sum(max(0, verdict.gaps - most_gaps) for verdict in verdicts)
    figures.verdicts += verdicts
    figures.false_gaps += false_gaps
    figures.opened += listener.opened
    figures.refused += listener.refused
    if not figures.evidence and (false_gaps or any(verdict.faults for verdict in verdicts)):
        events = sorted([*story, *listener.notes])
        lines = [f"{at:.3f} {text}" for at, text in events]
        figures.evidence = "\n".join([str(listener.manner), *map(str, verdicts), *lines])
