"""Stores of logs, closed when their test ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.channels.logs import STORES, Store

MakeStore = Callable[..., Store]


@pytest.fixture
def kind() -> str:
    """The kind of log; each test says which by `parametrize`."""
    raise AssertionError("parametrize the test over kinds of tests.channels.logs")


@pytest.fixture
def make_store(kind: str, tmp_path: Path) -> Iterator[MakeStore]:
    """Make a store of the test's kind; the options are the log's limits, and its clock as `now`."""
    made: list[Store] = []

    def make(**options: Any) -> Store:
        directory = tmp_path / str(len(made))
        directory.mkdir()
        made.append(STORES[kind](directory, **options))
        return made[-1]

    yield make
    for store in made:
        store.close()
