"""Markers and their rules for all tests; fixtures live beside the tests that use them."""

from __future__ import annotations

import time

import pytest

from streamkit import stats
from streamkit.channels import MemoryLog
from tests.clients import table
from tests.contract import matrix
from tests.rig import requirements

pytest_plugins = ["pytester", "streamkit.testing._pytest"]


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers that have code of their own, and the writer of docs/contract.md; configure Django."""
    _configure_django()
    config.addinivalue_line("markers", "promise(promise): one row of docs/contract.md")
    matrix.register(config)
    table.register(config)
    config.addinivalue_line(
        "markers", "needs(*parts): skip, or fail with STREAMKIT_REQUIRE_ALL=1, what is not installed"
    )


def _configure_django() -> None:
    """Configure Django for this process, so that no test depends on which other came first."""
    try:
        import django
        from django.conf import settings
    except ImportError:
        return
    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="tests.rig.apps.django", SECRET_KEY="tests", DEBUG=False)
    django.setup()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail what cannot run here."""
    requirements.check(item)


@pytest.fixture(scope="session", autouse=True)
def siblings_are_known() -> None:
    """Have MemoryLog warn at once that this process has siblings, as a worker of xdist has: each process is told once.

    Else the first test in a worker to touch such a log would find the warning among the records that it counts.
    """
    MemoryLog().page("any", None)


@pytest.fixture(scope="session")
def lingering() -> list[int]:
    """Hold how many streams and threads did not end: they are waited for once."""
    return [0]


@pytest.fixture(autouse=True)
def earlier_streams_are_over(lingering: list[int]) -> None:
    """Let what the test before has left come to its end, since a test counts the streams that it opens.

    A source in a thread is closed a moment after its client has left. What never ends is for the tests of the engine to
    find; here it must not make others fail.
    """
    until = time.monotonic() + 0.5
    while (running := stats().open + stats().threads) > lingering[0] and time.monotonic() < until:
        time.sleep(0.001)
    lingering[0] = running
