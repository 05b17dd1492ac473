"""A position is client input: whatever it says, it grants nothing, changes nothing and costs little."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import product
from typing import Any

import flask
import pytest

from streamkit import StreamLimit
from streamkit.channels import Channels, MemoryLog, _log
from streamkit.channels._position import MAX_CHANNELS, Position, base36, checksum, text_of
from streamkit.flask import EventStreamResponse, last_event_id
from streamkit.testing import open_stream
from tests.channels.conftest import MakeStore
from tests.channels.logs import ALL
from tests.channels.subscribed import take

LARGEST = 36**13 - 1
"""The largest epoch and tag that an id may hold: more than SQLite's integers and Lua's can."""


@pytest.mark.parametrize("kind", ALL)
def test_forged_position_leaves_the_log_as_it_was(make_store: MakeStore) -> None:
    """Also one of the future or beyond all bounds: no epoch is begun for it, which would be a gap for everybody."""
    log = make_store(max_events=20).log
    positions = [log.append("a", b"t\n%d" % number).position for number in range(30)]
    stored = [b"t\n%d" % number for number in range(10, 30)]
    for near in positions[12], positions[-1]:
        epochs = near.epoch, near.epoch + 1, LARGEST
        offsets = near.offset, 0, 10**18 - 1
        tags = near.tag, 0, LARGEST
        for numbers in product(epochs, offsets, tags):
            forged = Position(*numbers)
            page = log.page("a", forged)
            assert (page.gap is None) == (forged in positions[9:]), forged  # the test's clock stands: tags are guessed
            assert {entry.payload for entry in page.entries} <= set(stored)
    assert log.page("a", None).head == log._known("a") == positions[-1]
    assert [entry.payload for entry in log.page("a", None).entries] == stored


@pytest.mark.parametrize("kind", ALL)
def test_forged_id_makes_no_channel(make_store: MakeStore) -> None:
    """A client that names the checksum of a channel which the view does not read is told of a gap, and that is all."""
    store = make_store()
    forged = ",".join(text_of(checksum(f"made-up-{number}"), Position(1, 2, 3)) for number in range(MAX_CHANNELS))

    async def work() -> None:
        channels = Channels(store.log)
        reader = channels.subscribe("a", after=forged)
        assert (await take(reader, 1))[0].event == "gap"
        await reader.aclose()

    asyncio.run(work())
    assert not any(store.log.exists(f"made-up-{number}") for number in range(MAX_CHANNELS))


@pytest.fixture
def app() -> Iterator[Any]:
    """Serve each user the channel of their own, as the view says, whatever the client says."""
    channels = Channels(MemoryLog())
    app = flask.Flask(__name__)
    app.secret_key = "of this test"
    for user in "ann", "bob":
        for number in range(3):
            channels.publish_sync(f"user-{user}", f"for {user} {number}")

    @app.get("/login/<user>")
    def login(user: str) -> str:
        flask.session["user"] = user
        return channels.position_sync(f"user-{user}")

    @app.get("/mine")
    def mine() -> Any:
        user = flask.session["user"]
        events = channels.subscribe(f"user-{user}", after=last_event_id(flask.request), start="oldest", caught_up=True)
        return EventStreamResponse(events)

    yield app
    channels.close()


def test_id_of_another_user_shows_nothing_of_theirs(app: Any) -> None:
    """It is an id that is not known, which is told, and what follows is the reader's own."""
    ann, bob = app.test_client(), app.test_client()
    ann.get("/login/ann")
    with open_stream(ann, "GET", "/mine") as events:
        ids = [event.id for event in events.take(3)]
    bob.get("/login/bob")
    for stolen in *ids, ",".join(ids):
        with open_stream(bob, "GET", "/mine", headers={"Last-Event-ID": stolen}) as events:
            gap, *own = events.take(4)
            assert (gap.event, [event.data for event in own]) == ("gap", ["for bob 0", "for bob 1", "for bob 2"])
            assert "for ann" not in events.raw.decode()


def test_own_id_with_the_checksum_of_another_channel_is_none_of_it(app: Any) -> None:
    """The checksum only says which of the view's own channels is meant."""
    bob = app.test_client()
    position = bob.get("/login/bob").text
    _, rest = position.split(".", 1)
    forged = f"{checksum('user-ann')}.{rest}"
    with open_stream(bob, "GET", "/mine", headers={"Last-Event-ID": forged}) as events:
        assert [event.event for event in events.take(4)] == ["gap", None, None, None]
        assert "for ann" not in events.raw.decode()


def test_process_remembers_a_bounded_number_of_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many names clients can have made; those that were heard of last are kept."""
    monkeypatch.setattr(_log, "_REMEMBERED", 10)
    log = MemoryLog()
    for number in range(100):
        log.append(f"channel-{number}", b"t\nx")
    remembered = log._heads.here()
    assert list(remembered) == [f"channel-{number}" for number in range(90, 100)]


def test_limit_forgets_keys_that_have_no_stream() -> None:
    """Its memory does not grow with the users that there ever were."""
    limit = StreamLimit(10, per_key=2)
    for number in range(1000):
        limit.acquire(number)
        assert limit.reached(number) is None
        limit.release(number)
    assert not limit._counts.here().of_key


def test_number_of_any_size_is_read_in_bounded_time() -> None:
    """Numbers are limited by their digits, before they are made."""
    for text in (f"a.{base36(LARGEST)}.{'9' * 18}.{'z' * 13}", "a.1." + "9" * 100_000 + ".1", "z" * 10**6, "." * 10**6):
        Channels(MemoryLog()).subscribe("a", after=text)
