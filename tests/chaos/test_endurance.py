"""A crowd comes, reads slowly or not at all, vanishes and returns: nothing is lost, and nothing grows.

See test_redis for the seed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.conftest import FIGURES, Record
from tests.chaos.seeds import new_seed
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, ServerKind

pytestmark = [needs("uvicorn", "httptools", "uvloop", "gunicorn", "psutil"), pytest.mark.chaos]

_GTHREAD = "gunicorn --bind 127.0.0.1:{port} --workers 1 --no-control-socket --worker-class gthread --threads 64 {app}"

# What serves them, what is served, and how many come: a thread serves one at a time, and more wait than there are.
SERVED = {
    "asgi": (SERVERS["uvicorn-httptools"], "tests.rig.apps.enduring:app", 2000),
    "wsgi": (ServerKind("gunicorn-gthread", "wsgi", _GTHREAD, ("gunicorn",)), "tests.rig.apps.enduring:wsgi", 100),
}


@pytest.mark.servers
@pytest.mark.timeout(500)
def test_a_minute_of_coming_and_going_leaves_nothing_behind(record_property: Record, tmp_path: Path) -> None:
    """Two thousand visitors lose nothing, and of nothing there is more than after the warm-up."""
    _run(record_property, tmp_path, "asgi", rounds=4, seconds=10.0)


@pytest.mark.soak
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("interface", SERVED)
def test_ten_minutes_of_coming_and_going_leave_nothing_behind(
    record_property: Record, tmp_path: Path, interface: str
) -> None:
    """The same for longer; also where each visitor has a thread."""
    _run(record_property, tmp_path, interface, rounds=14, seconds=40.0)


def _run(record_property: Record, home: Path, interface: str, *, rounds: int, seconds: float) -> None:
    from tests.chaos.endurance import EnduranceStage, endure

    kind, app, visitors = SERVED[interface]
    seed = new_seed()
    endured = endure(EnduranceStage(seed, home, kind, app), seed, visitors=visitors, rounds=rounds, seconds=seconds)
    record_property(FIGURES, f"endurance under {kind.name}, {endured}")
    endured.check()
