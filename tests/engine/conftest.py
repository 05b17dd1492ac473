"""Every test here must leave nothing behind: no pump thread, no task, no generator that is still open."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import AsyncGeneratorType, GeneratorType

import pytest

from streamkit._engine.background import _loops
from streamkit._engine.limit import CAP
from streamkit._engine.register import register

HERE = str(Path(__file__).parent)


@pytest.fixture(scope="session", autouse=True)
def _look_at_what_tests_make_alone() -> Iterator[None]:
    """Keep what was there before out of every search for open generators, which makes it fast."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _nothing_left_behind(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test after which something still runs or is open."""
    limit = CAP.total
    _soon(lambda: CAP.open == 0, lambda: f"{CAP.open} pump threads of earlier tests still run")
    caplog.set_level(logging.INFO, "streamkit")  # whatever other tests have set
    yield
    CAP.total, register().leaving = limit, False
    try:
        _soon(lambda: not register().all_open(), lambda: f"{register().all_open()} are still counted as open")
    finally:
        for life in register().all_open():
            life.close("error")  # the next test is not to fail for what this one has left
    _soon(lambda: not _pump_threads(), _pump_threads)
    _soon(lambda: CAP.open == 0, lambda: f"{CAP.open} pump threads are still counted")
    _soon(lambda: not _background_tasks(), _background_tasks)
    _soon(lambda: not _open_generators(), _open_generators)


def _soon(holds: Callable[[], bool], what: Callable[[], object]) -> None:
    until = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < until, f"left behind: {what()}"
        time.sleep(0.005)


def _pump_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "streamkit-pump"]


def _background_tasks() -> list[object]:
    return [task for loop in list(_loops.values()) for task in asyncio.all_tasks(loop)]


def _open_generators() -> list[object]:
    gc.collect()
    found: list[object] = []
    for thing in gc.get_objects():
        if type(thing) is GeneratorType:  # isinstance would wake lazy objects of frameworks
            suspended, file = inspect.getgeneratorstate(thing) == "GEN_SUSPENDED", thing.gi_code.co_filename
        elif type(thing) is AsyncGeneratorType:
            started = thing.ag_frame is not None and thing.ag_frame.f_lasti > 0
            suspended, file = started and not thing.ag_running, thing.ag_code.co_filename
        else:
            continue
        if suspended and file.startswith(HERE) and not file.endswith("conftest.py"):
            found.append(thing)
    return found
