"""What a framework puts around the source of a detached stream, which outlives the view that has started it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from streamkit.channels import Detached, MemoryLog
from tests.channels.streams import KINDS, Read, read
from tests.rig.requirements import needs


@needs("flask")
@KINDS
@pytest.mark.parametrize("view", ["async", "sync"])
def test_source_in_flask_has_contexts_of_its_own(view: str, kind: str) -> None:
    """With a copy of `g`; their teardown comes when the source has ended, as for a response."""
    import flask

    app = flask.Flask(__name__)
    detached, torn = Detached(MemoryLog()), list[str]()

    @app.teardown_appcontext
    def tear(_: object) -> None:
        torn.append(flask.g.user)

    def items_sync() -> Iterator[Any]:
        flask.g.user = "source of " + flask.g.user
        yield [flask.current_app.name, flask.request.path, flask.g.user]

    async def items() -> AsyncIterator[Any]:
        for item in items_sync():
            await asyncio.sleep(0)
            yield item

    def start() -> str:
        flask.g.user = "ann"
        return str(detached.start_sync("k", items() if kind == "async" else items_sync()))

    async def start_async() -> str:
        flask.g.user = "ann"
        return str(await detached.start("k", items() if kind == "async" else items_sync()))

    app.add_url_rule("/start", view_func=start_async if view == "async" else start)
    assert app.test_client().get("/start").text == "True"
    assert asyncio.run(read(detached, "k")) == [(None, [app.name, "/start", "source of ann"]), ("done", "")]
    assert sorted(torn) == ["ann", "source of ann"]


@needs("django")
@KINDS
def test_source_in_django_has_the_views_language_and_closes_its_connections(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of its own thread; Django closes only what belongs to a request."""
    from django.db import connections
    from django.utils import translation

    closed = list[str]()
    monkeypatch.setattr(connections, "close_all", lambda: closed.append("closed"))
    detached = Detached(MemoryLog())

    def items_sync() -> Iterator[Any]:
        yield translation.get_language()

    async def items() -> AsyncIterator[Any]:
        yield translation.get_language()

    with translation.override("de"):
        detached.start_sync("k", items() if kind == "async" else items_sync())
    got: Read = asyncio.run(read(detached, "k"))
    assert got == [(None, "de"), ("done", "")]
    assert closed == (["closed"] if kind == "sync" else [])  # an async one that has used none has none to close
