"""Stores of logs, closed when their test ends; and one Valkey for all tests that do it no harm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from streamkit.channels.redis import RedisLog
from tests.channels.logs import STORES, Store, shared_valkey
from tests.rig.valkey import Valkey

MakeStore = Callable[..., Store]
NewLog = Callable[..., RedisLog]

_numbers = count()


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


@pytest.fixture
def valkey() -> Valkey:
    """Return a server that must be left as it is."""
    return shared_valkey()


@pytest.fixture
def prefix() -> str:
    """What the keys of this test begin with."""
    return f"test{next(_numbers)}"


@pytest.fixture
def new_log(valkey: Valkey, prefix: str) -> Iterator[NewLog]:
    """Return logs as several processes have them: each remembers for itself what it has seen."""
    logs: list[RedisLog] = []

    def make(url: str = valkey.url, **options: Any) -> RedisLog:
        logs.append(RedisLog(url, **{"prefix": prefix, **options}))
        return logs[-1]

    yield make
    for log in logs:
        log.close()
