"""docs/channels.md: each block runs as it stands there, and publishes to or reads from the channels of the first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamkit import Event, InvalidEventError
from streamkit.channels import Channels, MemoryLog
from streamkit.channels._channels import BUFFER_SIZE, MAX_KEY
from streamkit.channels._entry import OVERHEAD, RESERVED
from streamkit.channels._position import MAX_CHANNELS, MAX_NAME
from streamkit.testing import open_stream
from tests.engine.interpreter import python
from tests.rig.requirements import needs
from tests.test_how_to import BLOCK, run

TEXT = (Path(__file__).parents[1] / "docs" / "channels.md").read_text(encoding="utf-8")
SETUP, ASYNC, SYNC, COMMIT, KEY, FLASK, DJANGO, FASTAPI, TEST = BLOCK.findall(TEXT)

Names = dict[str, Any]


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """Run the blocks that need no server in a directory of their own; return their names."""
    monkeypatch.chdir(tmp_path)
    names = run(SETUP, ASYNC, SYNC, KEY, TEST)
    yield names
    names["channels"].close()


async def kept(channels: Channels) -> list[Any]:
    """Return the data of what the channel has."""
    events = channels.subscribe("orders", start="oldest", caught_up=True)
    data = []
    async for event in events:
        if event.event == "caught-up":
            break
        data.append(event.data)
    await events.aclose()
    return data


def test_async_and_sync_code_publish_to_the_same_channel(names: Names) -> None:
    """And sync code is refused where an event loop runs."""

    async def main() -> list[Any]:
        await names["pay"](7)
        with pytest.raises(RuntimeError, match="would block the event loop"):
            names["ship"](8)
        return await kept(names["channels"])

    names["ship"](6)
    assert asyncio.run(main()) == [{"number": 6, "state": "shipped"}, {"number": 7, "state": "paid"}]


def test_key_has_an_event_stored_once(names: Names) -> None:
    """And its id is the first one's."""
    first, second = names["paid_again"](7)
    assert first == second
    assert asyncio.run(kept(names["channels"])) == [{"number": 7}]


def test_block_of_the_test_is_a_test(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """It passes, and fails where nothing is published."""
    names["test_payment_is_published"](monkeypatch)

    async def pay_nothing(number: int) -> None:
        await names["channels"].publish("orders", {"number": number, "state": "open"})

    names["pay"] = pay_nothing
    with pytest.raises(AssertionError):
        names["test_payment_is_published"](monkeypatch)


@needs("django")
def test_on_commit_publishes_what_is_committed_and_nothing_else(tmp_path: Path) -> None:
    """A transaction that is rolled back tells nobody."""
    code = f"""
import os
os.chdir({str(tmp_path)!r})
from django.conf import settings
settings.configure(DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "app.db"}}}})
import django
django.setup()
{SETUP}
{COMMIT}
try:
    with transaction.atomic():
        refund(7)
        print(channels.log.exists("orders"))
        raise KeyError
except KeyError:
    print(channels.log.exists("orders"))
refund(8)
print(channels.log.last("orders").payload)
"""
    out, _ = python("", prelude=code)
    assert out.splitlines() == ["False", "False", """b'j\\n{"number":8,"state":"refunded"}'"""]


class TestSubscribe:
    """The view of each framework."""

    def check(self, names: Names, app: Any) -> None:
        """Publish one event before and one while an app streams; a new client gets the second."""
        names["ship"](6)
        with open_stream(app, "GET", "/orders") as events:
            assert next(events).event == "cursor"
            names["ship"](7)
            assert next(events).json() == {"number": 7, "state": "shipped"}

    @needs("flask")
    def test_flask_block_streams_what_is_published(self, names: Names) -> None:
        """A client that begins gets what is published from now on."""
        exec(compile(FLASK, "channels.md", "exec", dont_inherit=True), names)
        self.check(names, names["app"])

    @needs("django")
    def test_django_block_streams_what_is_published(self, names: Names) -> None:
        """The same by Django's handler for WSGI."""
        from django.core.handlers.wsgi import WSGIHandler
        from django.test import override_settings
        from django.urls import path

        exec(compile(DJANGO, "channels.md", "exec", dont_inherit=True), names)
        patterns = (path("orders", names["order_events"]),)
        with override_settings(ROOT_URLCONF=patterns, ALLOWED_HOSTS=["*"]):
            self.check(names, WSGIHandler())

    @needs("fastapi")
    def test_fastapi_block_streams_what_is_published(self, names: Names) -> None:
        """On the loop of the server, published by a thread."""
        exec(compile(FASTAPI, "channels.md", "exec", dont_inherit=True), names)
        self.check(names, names["api"])


def test_limits_are_those_of_the_library() -> None:
    """Each default of the table is the one that is used."""
    table = TEXT.partition("## Limits")[2]
    log = MemoryLog()
    assert (log.max_events, log.max_bytes, log.max_age, log.timeout) == (10_000, 8 * 2**20, 3600, 5)
    assert (BUFFER_SIZE, OVERHEAD, MAX_CHANNELS, MAX_NAME, MAX_KEY) == (256 * 1024, 100, 100, 255, 255)
    for row in (
        "`max_events` | 10,000 ",
        "`max_bytes` | 8 MiB for each channel, 100 bytes counted",
        "`max_age` | one hour",
        "`timeout` | 5 s",
        "255 bytes, 255 characters",
        "one subscription | 100 ",
        "a subscription | 256 KiB",
    ):
        assert row in table


@pytest.mark.parametrize("kind", sorted(RESERVED))
def test_types_that_the_page_reserves_are_refused(names: Names, kind: str) -> None:
    """They are what a subscription says of itself."""
    assert f"`{kind}`" in TEXT
    with pytest.raises(InvalidEventError):
        names["channels"].publish_sync("orders", Event("", event=kind))
