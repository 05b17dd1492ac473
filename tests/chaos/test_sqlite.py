"""Workers are killed, their file is restored, replaced, removed: every reader has all, or was told what it missed.

See test_redis for the seed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.conftest import FIGURES, Record
from tests.chaos.run import run
from tests.chaos.seeds import new_seed
from tests.rig.requirements import needs
from tests.rig.servers import ServerKind

pytestmark = [needs("gunicorn", "uvicorn", "psutil"), pytest.mark.chaos]


@pytest.mark.servers
@pytest.mark.timeout(180)
def test_a_minute_of_disasters_loses_nothing_in_silence(record_property: Record, tmp_path: Path) -> None:
    """Each kind of fault happens, and no number is missing without a gap, or comes twice."""
    from tests.chaos.sqlite_stage import ASGI

    _run(record_property, tmp_path, ASGI, 60.0, 25)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_minutes_of_disasters_lose_nothing_in_silence(record_property: Record, tmp_path: Path, interface: str) -> None:
    """The same for longer, and with more on top of each other; also where each reader has a thread."""
    from tests.chaos.sqlite_stage import ASGI, WSGI

    _run(record_property, tmp_path, {"asgi": ASGI, "wsgi": WSGI}[interface], 300.0, 200)


def _run(record_property: Record, home: Path, served: tuple[ServerKind, str], seconds: float, faults: int) -> None:
    from tests.chaos.sqlite_stage import SQLiteStage

    seed = new_seed()
    figures = run(SQLiteStage(seed, home, served), seed, seconds=seconds, faults=faults)
    record_property(FIGURES, f"SQLiteLog under {served[0].name}, {figures}")
    figures.check()
