"""The sources of docs/how-to/database-sessions-django.md run as they stand there, on a pool of five."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("django")

from django.db import connection, models

from streamkit.django import NDJSONResponse
from tests.adapters.django_project import Interface, Kind, by_interface, by_source, serving
from tests.adapters.limited_db.base import DatabaseWrapper
from tests.adapters.test_django_threads import pool, wait_for_empty_pool

__all__ = ["pool"]  # the fixture that is shared

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "database-sessions-django.md"
SYNC, ASYNC = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


class Price(models.Model):
    """What the page reads."""

    name: models.TextField[str, str] = models.TextField()
    cents: models.IntegerField[int, int] = models.IntegerField()

    class Meta:
        app_label = "prices"


@pytest.fixture
def prices(pool: None) -> dict[str, Any]:
    """Return the names that the page's code needs, in front of a table of two rows; its waits take no time."""
    with ThreadPoolExecutor(1) as thread:  # whose connection is not yet that of another database
        thread.submit(_fill).result(5)

    async def turn(_seconds: float) -> None:
        await asyncio.sleep(0)

    turns = SimpleNamespace(sleep=turn)
    return {"Price": Price, "time": SimpleNamespace(sleep=lambda _seconds: None), "asyncio": turns}


def _fill() -> None:
    with connection.schema_editor() as editor:
        editor.create_model(Price)
    Price.objects.bulk_create([Price(name="tea", cents=300), Price(name="cake", cents=450)])
    connection.close()


@by_interface
@by_source
def test_prices_of_the_page_stream_and_hold_no_connection(
    prices: dict[str, Any], interface: Interface, source: Kind
) -> None:
    """Both rows come in each round, and the connection is back before the client has read them."""
    exec(compile(SYNC if source == "sync" else SYNC + ASYNC, str(PAGE), "exec", dont_inherit=True), prices)
    held: list[list[str]] = []
    rows = prices["prices"]()

    def watched() -> Iterator[object]:
        with closing(rows):
            for row in islice(rows, 4):
                held.append(list(DatabaseWrapper.opened))
                yield row

    async def watched_async() -> AsyncIterator[object]:
        async with aclosing(rows):
            for _ in range(4):
                row = await anext(rows)
                held.append(list(DatabaseWrapper.opened))
                yield row

    content = watched() if source == "sync" else watched_async()
    with serving(interface, lambda request: NDJSONResponse(content, request=request)) as host:
        body = host.open("/").read_to_end()
    assert body == b'{"name":"tea","cents":300}\n{"name":"cake","cents":450}\n' * 2
    assert held == [[]] * 4
    assert wait_for_empty_pool()
