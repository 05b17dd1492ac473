"""When which fault happens, drawn from a seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple


class Fault(NamedTuple):
    """One fault, and the seconds from the start at which it is due."""

    at: float
    kind: str


def draw(kinds: Sequence[str], count: int, seconds: float, dice: random.Random) -> list[Fault]:
    """Return `count` faults over so many seconds, each kind once at least.

    Raises:
        ValueError: `count` is too small for that.
    """
    if count < len(kinds):
        raise ValueError(f"{len(kinds)} kinds of faults do not fit into {count}")
    drawn = [*kinds, *dice.choices(kinds, k=count - len(kinds))]
    dice.shuffle(drawn)
    slot = seconds / count
    return [Fault((place + dice.random()) * slot, kind) for place, kind in enumerate(drawn)]
