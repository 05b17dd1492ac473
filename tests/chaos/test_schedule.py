"""When which fault of the chaos test happens."""

from __future__ import annotations

import random

import pytest

from tests.chaos.schedule import draw

KINDS = ["kill", "wipe", "sever"]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [3, 4, 30])
def test_each_kind_happens_within_the_time(seed: int, count: int) -> None:
    """However few the faults, no kind is left out; they come in order, none before the start or after the end."""
    faults = draw(KINDS, count, 60.0, random.Random(seed))
    assert len(faults) == count
    assert {fault.kind for fault in faults} == set(KINDS)
    assert faults == sorted(faults, key=lambda fault: fault.at)
    assert all(0.0 <= fault.at <= 60.0 for fault in faults)


def test_a_seed_draws_the_same_again() -> None:
    """A run can be had again by its seed, and another seed draws something else."""
    first, again, other = (draw(KINDS, 30, 60.0, random.Random(seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_too_few_faults_for_the_kinds_are_refused() -> None:
    """A run in which a kind of fault could not happen is none."""
    with pytest.raises(ValueError, match="3 kinds of faults do not fit into 2"):
        draw(KINDS, 2, 60.0, random.Random(0))
