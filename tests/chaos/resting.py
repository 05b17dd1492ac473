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
"""Times the memory after the warm-up, without what lies free: between ten rounds 91 MB differed by 1 %."""

MOST_BLOCKS = 1.02
"""Times the blocks after the warm-up. They are counted exactly: between ten rounds 137,000 differed by 0.4 %."""

WARM_UP = 2
"""Rounds after which what is kept on purpose is there: pools of threads, connections to a log."""


def growth(rests: Sequence[Resources]) -> list[str]:
    """Name what there is more of in the last of the rests than after the warm-up; streams and generators, if any.

    The warm-up has had as great a crowd as there will be; what a visit leaves behind is there some thousand times.
    Of memory there may be `MOST_MEMORY` times what it was, of blocks `MOST_BLOCKS` times.
    """
    warm, last = warmed(rests), rests[-1]
    found = _more(last, warm)
    found += [name for name in GONE if getattr(last, name)]
    found += ["rss"] if last.rss > warm.rss * MOST_MEMORY else []
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
