"""Run every promise in every column; servers live as long as the tests of their column take."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract import matrix
from tests.contract.declared import COLUMNS, MODES, Column, limit
from tests.contract.plan import Host, Served, promise_of, serve
from tests.rig.recorder import RELEASED
from tests.rig.requirements import needs
from tests.rig.scenarios import Mode


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise a promise by the columns and modes it is about, with the limits as expected failures."""
    promise = promise_of(metafunc.function)
    if promise is None:
        return
    cases = []
    for column in COLUMNS:
        for mode in MODES:
            if promise.applies(column, mode):
                marks = _marks(metafunc.function.__name__, column, mode)
                cases.append(pytest.param(column, mode, id=f"{column.id}-{mode}", marks=marks))
    metafunc.parametrize(("host", "mode"), cases, indirect=["host"], scope="session")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a column together, so that its server starts once."""
    order = {column.id: number for number, column in enumerate(COLUMNS)}

    def place(item: pytest.Item) -> int:
        params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        column = params.get("host")
        return order[column.id] if isinstance(column, Column) else -1

    items.sort(key=place)


def _marks(test: str, column: Column, mode: Mode) -> list[pytest.MarkDecorator]:
    marks = [pytest.mark.xdist_group(column.id), needs(*column.parts)]
    if column.server is not None:
        marks.append(pytest.mark.servers)
    known = limit(test, column, mode)
    if known is not None:
        marks.append(pytest.mark.xfail(strict=True, reason=known.reason))
    return marks


@pytest.fixture(scope="session")
def host(request: pytest.FixtureRequest) -> Iterator[tuple[Column, Host]]:
    """Serve one column."""
    column: Column = request.param
    with serve(column) as host:
        yield column, host


@pytest.fixture
def served(host: tuple[Column, Host], mode: Mode, request: pytest.FixtureRequest) -> Iterator[Served]:
    """Give a test its column; streams that it left open come to their end."""
    column, server = host
    request.node.user_properties.append((matrix.CELL, f"{column.id} {mode}"))
    served = Served(column, mode, server)
    if column.server is not None and column.server.one_at_a_time:
        # A request still queued when its test ended would begin only now, and wait for leave that nobody gives.
        served.side_door.allow(RELEASED)
        with served.open_beside("finite") as stream:
            stream.read_to_end()
    served.side_door.reset()
    yield served
    served.side_door.reset()
