"""Judge what a client of the chaos test was given: numbers that count up from 1, and gap events. Pure.

A number may be missing only where a gap event stands between the number before it and the one after it. No number comes
twice, with one exception: its publisher never got the answer, the log was rolled back behind it, and it was published
again. Then a gap lies between the two, and they are counted apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

GAP = None
"""Stands in a history for a gap event."""

History = Sequence[int | None]


@dataclass(frozen=True)
class Verdict:
    """What became of the numbers from 1 to the last, for one client.

    Attributes:
        delivered: How many came.
        told: Those that are missing, and a gap event says so.
        gaps: How many gap events came.
        published_again: Those that came twice because they had been rolled back and published again.
        lost: Those that are missing in silence.
        duplicates: Those that came twice.
        disordered: Those that came after a later one, for the first time.
        foreign: Those that were never published.
    """

    delivered: int
    told: tuple[int, ...] = ()
    gaps: int = 0
    published_again: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    duplicates: tuple[int, ...] = ()
    disordered: tuple[int, ...] = ()
    foreign: tuple[int, ...] = ()

    @property
    def faults(self) -> int:
        """How many numbers the library has to answer for."""
        return len(self.lost) + len(self.duplicates) + len(self.disordered) + len(self.foreign)


def judge(history: History, last: int, unanswered: Collection[int] = ()) -> Verdict:
    """Return the verdict on what one client was given, in this order.

    Args:
        history: Numbers, and GAP for each gap event.
        last: The last number that was published.
        unanswered: The numbers that were published more than once, since no answer had come.
    """
    seen: dict[int, int] = {}  # numbers, and the gaps that had been told when each came last
    told: set[int] = set()
    lost: set[int] = set()
    gaps, highest, gaps_at_highest = 0, 0, 0
    again, duplicates, disordered, foreign = [], [], [], []
    for item in history:
        if item is GAP:
            gaps += 1
        elif not 1 <= item <= last:
            foreign.append(item)
        elif item > highest:
            (told if gaps > gaps_at_highest else lost).update(range(highest + 1, item))
            highest, gaps_at_highest = item, gaps
            seen[item] = gaps
        elif item not in seen:
            disordered.append(item)
            seen[item] = gaps
        elif item in unanswered and gaps > seen[item]:
            again.append(item)
            seen[item] = gaps
            if item == highest:
                gaps_at_highest = gaps
        else:
            duplicates.append(item)
    lost.update(range(highest + 1, last + 1))  # nothing came after them, whatever was told
    groups = map(_in_order, (again, lost - seen.keys(), duplicates, disordered, foreign))
    return Verdict(len(seen), _in_order(told - seen.keys()), gaps, *groups)


def _in_order(numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(numbers))
