"""Judge what a server holds while nobody is connected, each time after a crowd has come and gone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from tests.rig.resources import Resources

COUNTS = ("threads", "tasks", "fds")

MOST_MEMORY = 1.05
"""Times the memory after the warm-up; what an allocator keeps apart, not what an application would leak by visits."""


WARM_UP = 2
"""Rounds after which what is kept on purpose is there: pools of threads, connections to a log."""


def growth(rests: Sequence[Resources]) -> list[str]:
    """Name what there is more of in the last of the rests than after the warm-up; generators, if there is any.

    The warm-up has had as great a crowd as there will be. Of threads, tasks and descriptors none may be added to it.
    Memory may be `MOST_MEMORY` times what it was.
    """
    warm, last = warmed(rests), rests[-1]
    found = [name for name in COUNTS if getattr(last, name) > getattr(warm, name)]
    found += ["generators"] if last.generators else []
    found += ["rss"] if last.rss > warm.rss * MOST_MEMORY else []
    return [f"{name}: {[getattr(rest, name) for rest in rests]}" for name in found]


def warmed(rests: Sequence[Resources]) -> Resources:
    """Return the most of each that there was after a round of the warm-up."""
    warm = rests[:WARM_UP]
    return Resources(**{each.name: max(getattr(rest, each.name) for rest in warm) for each in fields(Resources)})


def excess(now: Resources, rests: Sequence[Resources]) -> bool:
    """Tell whether what is held now may still be of clients that have just left."""
    warm = warmed(rests) if len(rests) >= WARM_UP else now
    return now.generators > 0 or any(getattr(now, name) > getattr(warm, name) for name in COUNTS)
