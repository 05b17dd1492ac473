"""Judge what a server holds while nobody is connected, each time after a crowd has come and gone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from tests.rig.resources import Resources

MOST_MORE = {"threads": 5, "tasks": 0, "fds": 16}
"""How many more there may be than after the warm-up. The log's pool is filled by chance, emptied after ten seconds, and
filled again: four threads and the one that looks for entries, and two or three descriptors for each connection."""

GONE = ("streams", "generators")
"""Of these nothing may be left."""

MOST_MEMORY = 1.05
"""Times the memory after the first half of the rounds. After the greatest crowd it stays where it is, since parts of it
lie between what is in use: over a run of ten minutes on a busy machine it was 84 MB after the second round, 101 after
the fifth, and between 99.1 and 99.4 after each of the last nine."""

LONG = 8
"""Rounds from which on a run has seen its greatest crowd in the first half; a shorter one tells by blocks and heap."""

MOST_HEAP = 1 << 20
"""Bytes that larger objects may have more than after the warm-up: between the fourteen rounds of ten minutes they
differed by 9 KB in threads, and by 0.6 MB on an event loop."""

MOST_BLOCKS = 1.02
"""Times the blocks after the warm-up. They are counted exactly: between ten rounds 137,000 differed by 0.4 %."""

WARM_UP = 2
"""Rounds after which what is kept on purpose is there: pools of threads, connections to a log."""


def growth(rests: Sequence[Resources]) -> list[str]:
    """Name what there is more of in the last of the rests than after the warm-up; streams and generators, if any.

    The warm-up has had as great a crowd as there will be; what a visit leaves behind is there some thousand times.
    Blocks and heap are what is in use; of memory only a long run can tell, see `MOST_MEMORY`.
    """
    warm, last = warmed(rests), rests[-1]
    found = _more(last, warm)
    found += [name for name in GONE if getattr(last, name)]
    if len(rests) >= LONG:
        found += ["rss"] if last.rss > max(rest.rss for rest in rests[: len(rests) // 2]) * MOST_MEMORY else []
    found += ["heap"] if last.heap > warm.heap + MOST_HEAP else []
    found += ["blocks"] if last.blocks > warm.blocks * MOST_BLOCKS else []
    return [f"{name}: {[getattr(rest, name) for rest in rests]}" for name in found]


def warmed(rests: Sequence[Resources]) -> Resources:
    """Return the most of each that there was after a round of the warm-up."""
    warm = rests[:WARM_UP]
    return Resources(**{each.name: max(getattr(rest, each.name) for rest in warm) for each in fields(Resources)})


def excess(now: Resources, rests: Sequence[Resources]) -> bool:
    """Tell whether what is held now may still be of clients that have just left."""
    warm = warmed(rests) if len(rests) >= WARM_UP else now
    return any(getattr(now, name) for name in GONE) or bool(_more(now, warm))


def _more(now: Resources, warm: Resources) -> list[str]:
    return [name for name, most in MOST_MORE.items() if getattr(now, name) > getattr(warm, name) + most]
