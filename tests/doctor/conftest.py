"""The probe, served by a threaded WSGI server and by an ASGI server; and the doctor in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.rig.servers import SERVERS, Server

if TYPE_CHECKING:
    from streamkit.doctor._examine import Diagnosis

Diagnose: TypeAlias = "Callable[..., Diagnosis]"


@pytest.fixture(scope="session")
def wsgi_probe() -> Iterator[Server]:
    """Serve the WSGI probe by gunicorn with threads."""
    with Server(SERVERS["gunicorn-gthread"], "tests.doctor.apps.wsgi:app") as server:
        yield server


@pytest.fixture(scope="session")
def asgi_probe() -> Iterator[Server]:
    """Serve the ASGI probe by uvicorn."""
    with Server(SERVERS["uvicorn-h11"], "tests.doctor.apps.asgi:app") as server:
        yield server


@pytest.fixture
def diagnose() -> Diagnose:
    """Return what examines a URL, with the options of Target."""
    from streamkit.doctor._examine import examine
    from streamkit.doctor._fetch import Target

    def diagnose(url: str, *, until: Callable[[Diagnosis], bool] = lambda found: True, **options: float) -> Diagnosis:
        # A machine at its limit delays events by itself, so one look may be wrong, and three hardly are.
        for _ in range(3):
            found = asyncio.run(examine(Target(url, **options), lambda *_: None))  # type: ignore[arg-type]
            if until(found):
                break
        return found

    return diagnose
