"""The restart that the simulation is held against, with few clients: only that it does what it says."""

from __future__ import annotations

import pytest

from benchmarks.scale.restart import HOWS, restart
from tests.rig.requirements import needs

pytestmark = [pytest.mark.servers, needs("uvicorn", "httptools", "uvloop", "valkey", "redis")]


@pytest.mark.timeout(180)
def test_all_clients_come_back_to_the_worker_that_is_started_anew() -> None:
    """Once each, and none before a worker listens again; they have missed what was published meanwhile."""
    seen = restart(HOWS[0], 20)
    assert seen.clients == sum(seen.connects) == 20
    assert 0 < seen.gone < seen.down
    assert not any(seen.connects[: int(seen.gone * 10)])
    assert seen.missed > 0
