"""The seed of a run: another one each time, since each finds its own way through what may happen."""

from __future__ import annotations

import os
import random

SEED = "STREAMKIT_CHAOS_SEED"


def new_seed() -> int:
    """Return a seed, or the one that is asked for in the environment."""
    return int(os.environ.get(SEED) or random.randrange(10**6))
