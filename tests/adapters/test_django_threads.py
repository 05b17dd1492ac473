"""What Django keeps by thread, where a source runs: language, time zone, URLs and database connections."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("django")

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connection, connections
from django.urls import reverse
from django.utils import timezone, translation

from streamkit.django import EventStreamResponse, NDJSONResponse, TextStreamResponse
from tests.adapters.django_project import (
    Fed,
    Interface,
    Kind,
    as_view,
    by_interface,
    by_source,
    by_view,
    serving,
)
from tests.adapters.limited_db.base import DatabaseWrapper


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give Django a database that has five connections."""
    database = {"ENGINE": DatabaseWrapper.__module__.removesuffix(".base"), "NAME": str(tmp_path / "db")}
    monkeypatch.setitem(connections.__dict__, "settings", connections.configure_settings({"default": database}))
    DatabaseWrapper.opened.clear()


def query() -> int:
    """Ask the database for 1, which opens a connection for this thread."""
    with connection.cursor() as cursor:
        return int(cursor.execute("SELECT 1").fetchone()[0])


def wait_for_empty_pool() -> bool:
    """Tell whether all connections are closed soon: a stream's end is seen before its thread's."""
    until = time.monotonic() + 2
    while DatabaseWrapper.opened and time.monotonic() < until:
        time.sleep(0.002)
    return not DatabaseWrapper.opened


@by_interface
@by_view
@by_source
def test_source_speaks_the_language_of_the_view(interface: Interface, view: Kind, source: Kind) -> None:
    """Language, time zone and URLs are those of the view, in whatever thread the source runs."""

    def line() -> str:
        return f"{translation.gettext('Monday')} {timezone.get_current_timezone_name()} {reverse('page')}"

    def lines() -> Iterator[str]:
        yield line()

    async def lines_async() -> AsyncIterator[str]:
        yield line()

    def respond(request: Any) -> Any:
        timezone.activate("Asia/Tokyo")
        return TextStreamResponse(lines() if source == "sync" else lines_async(), request=request)

    locale = ["django.middleware.locale.LocaleMiddleware"]
    with serving(interface, as_view(view, respond), MIDDLEWARE=locale) as host:
        stream = host.open("/", headers={"Accept-Language": "de"})
        assert stream.read_to_end().decode() == "Montag Asia/Tokyo /"


def test_source_of_a_view_without_a_language_has_none() -> None:
    """Where the view has put translation off, as for what a program reads, the source does not bring it back."""

    def lines() -> Iterator[str]:
        yield f"{translation.get_language()} {translation.gettext('Monday')}"

    def respond(request: Any) -> Any:
        translation.deactivate_all()
        return TextStreamResponse(lines(), request=request)

    with serving("asgi", as_view("sync", respond)) as host:
        assert host.open("/").read_to_end() == b"None Monday"


def sync_only(get_response: Any) -> Any:
    """Stand in the way of an async view as old middleware does: Django runs the view by async_to_sync."""

    def middleware(request: Any) -> Any:
        return get_response(request)

    return middleware


@by_interface
@by_view
@by_source
@pytest.mark.parametrize("middleware", [[], [f"{__name__}.sync_only"]], ids=["async-stack", "sync-middleware"])
@pytest.mark.usefixtures("pool")
def test_connections_of_a_source_end_with_it(
    interface: Interface, view: Kind, source: Kind, middleware: list[str]
) -> None:
    """Whatever thread asgiref finds for a query of the source, its connection is closed when the stream is over."""

    def rows() -> Iterator[object]:
        for _ in range(2):
            yield query()

    async def rows_async() -> AsyncIterator[object]:
        for _ in range(2):
            yield await sync_to_async(query)()

    def respond(request: Any) -> Any:
        return NDJSONResponse(rows() if source == "sync" else rows_async(), request=request)

    with serving(interface, as_view(view, respond), MIDDLEWARE=middleware) as host:
        for _ in range(7):  # more than the pool has
            stream = host.open("/")
            assert stream.read_to_end() == b"1\n1\n"
            assert stream.clean
            assert wait_for_empty_pool()


@by_interface
@by_view
@by_source
@pytest.mark.usefixtures("pool")
def test_twenty_open_streams_leave_a_pool_of_five_free(interface: Interface, view: Kind, source: Kind) -> None:
    """Neither the query of a view nor one that a source has finished with pins a connection while the stream waits."""
    feds = [Fed() for _ in range(20)]
    waiting = iter(feds)

    def rows(fed: Fed) -> Iterator[object]:
        yield query()
        close_old_connections()
        yield from fed.source("sync")

    async def rows_async(fed: Fed) -> AsyncIterator[object]:
        yield await sync_to_async(query)()
        await sync_to_async(close_old_connections)()
        async for item in fed.source("async"):
            yield item

    def respond(request: Any) -> Any:
        return NDJSONResponse((rows if source == "sync" else rows_async)(next(waiting)), request=request)

    def view_with_query(request: Any) -> Any:
        query()
        return respond(request)

    async def async_view_with_query(request: Any) -> Any:
        await sync_to_async(query)()
        return respond(request)

    with serving(interface, view_with_query if view == "sync" else async_view_with_query) as host:
        streams = []
        for fed in feds:
            streams.append(stream := host.open("/"))
            stream.read_until(b"1\n")
            assert wait_for_empty_pool(), DatabaseWrapper.opened
            assert fed.started.wait(2)
        for fed, stream in zip(feds, streams, strict=True):
            fed.pipe.close()
            stream.read_to_end()
            assert stream.clean


@by_source
def test_streams_under_wsgi_do_not_wait_for_each_other_s_queries(source: Kind) -> None:
    """A query of one stream that takes long holds up no other stream."""
    answer, asked = threading.Event(), threading.Event()

    def slow() -> str:
        asked.set()
        answer.wait(5)
        return "slow"

    def rows(fetch: Callable[[], str]) -> Iterator[str]:
        yield fetch()

    async def rows_async(fetch: Callable[[], str]) -> AsyncIterator[str]:
        yield await sync_to_async(fetch)()

    def respond(request: Any) -> Any:
        fetch = slow if "slow" in request.GET else lambda: "quick"
        return EventStreamResponse((rows if source == "sync" else rows_async)(fetch), request=request)

    with serving("wsgi", respond) as host:
        blocked = host.open("/?slow")
        assert asked.wait(2)
        assert b"data: quick\n\n" in host.open("/").read_to_end()
        answer.set()
        assert b"data: slow\n\n" in blocked.read_to_end()
