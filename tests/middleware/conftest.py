"""What a process says once, each test here may hear."""

import pytest

from streamkit._engine.foreign.kinds import _warned


@pytest.fixture(autouse=True)
def warn_again() -> None:
    """Forget which encodings were warned of."""
    _warned.clear()
