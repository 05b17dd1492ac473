"""Servers and Valkey are killed, restored, wiped and cut off: every reader has all, or was told what it missed.

The schedule is drawn from a seed, which is printed; STREAMKIT_CHAOS_SEED has it again.
"""

from __future__ import annotations

import pytest

from tests.chaos.conftest import FIGURES, Record
from tests.chaos.run import run
from tests.chaos.seeds import new_seed
from tests.rig.requirements import needs

pytestmark = [
    needs("redis", "valkey", "nginx", "uvicorn", "httptools", "uvloop"),
    pytest.mark.chaos,
]


@pytest.mark.servers
@pytest.mark.timeout(180)
def test_a_minute_of_disasters_loses_nothing_in_silence(record_property: Record) -> None:
    """Each kind of fault happens, and no number is missing without a gap, or comes twice."""
    _run(record_property, 60.0, 30)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_minutes_of_disasters_lose_nothing_in_silence(record_property: Record) -> None:
    """The same for longer, and with more on top of each other."""
    _run(record_property, 300.0, 240)


def _run(record_property: Record, seconds: float, faults: int) -> None:
    from tests.chaos.redis_stage import RedisStage

    seed = new_seed()
    figures = run(RedisStage(seed), seed, seconds=seconds, faults=faults)
    record_property(FIGURES, f"RedisLog, {figures}")
    figures.check()
