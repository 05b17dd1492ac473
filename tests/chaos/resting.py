"""Judge what a server holds while nobody is connected, each time after a crowd has come and gone. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tests.rig.resources import Resources

COUNTS = ("threads", "tasks", "fds")

MOST_MEMORY = 1.05
"""Times the memory after the warm-up; what an allocator keeps apart, not what an application would leak by visits."""


def growth(rests: Sequence[Resources]) -> list[str]:
    """Name what there is more of in the last of the rests than in the first; generators, if there is any.

    The first is after the warm-up, which has been as great a crowd as any later one, so pools are as large as they get:
    of threads, tasks and descriptors none may be added. Memory may be `MOST_MEMORY` times what it was.
    """
    warm, last = rests[0], rests[-1]
    found = [name for name in COUNTS if getattr(last, name) > getattr(warm, name)]
    found += ["generators"] if last.generators else []
    found += ["rss"] if last.rss > warm.rss * MOST_MEMORY else []
    return [f"{name}: {[getattr(rest, name) for rest in rests]}" for name in found]


def excess(now: Resources, warm: Resources | None) -> bool:
    """Tell whether what is held now may still be of clients that have just left."""
    more = warm is not None and any(getattr(now, name) > getattr(warm, name) for name in COUNTS)
    return more or now.generators > 0
