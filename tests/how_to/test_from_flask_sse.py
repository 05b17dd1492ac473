"""docs/how-to/migrating-from-flask-sse.md: both programs pass the same events on, and the tables say what is."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from streamkit import EventDecoder, EventStream
from streamkit.testing import OpenStream, open_stream
from tests.how_to.migration import arguments, left_columns, public, shown, unnamed
from tests.rig.requirements import needs
from tests.rig.valkey import Valkey
from tests.test_how_to import blocks_of, run

PAGE = "migrating-from-flask-sse.md"
(BEFORE,) = blocks_of(PAGE, "Before")
(AFTER,) = blocks_of(PAGE, "After")
MIDDLEWARE, BOTH = blocks_of(PAGE, "Step by step")

pytestmark = needs("flask", "redis", "valkey", "flask-sse")


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """One server for all."""
    with Valkey() as server:
        yield server


@pytest.fixture(autouse=True)
def url(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what the programs read, and let no test see the events of another."""
    monkeypatch.setenv("REDIS_URL", valkey.url)
    valkey.wipe()


def listeners(valkey: Valkey) -> int:
    """Return how many listen to what flask-sse publishes."""
    return int(valkey.do("PUBSUB", "NUMSUB", "orders")[1])


def wait_for_listener(valkey: Valkey) -> None:
    """Wait until somebody does."""
    until = time.monotonic() + 20
    while not listeners(valkey):
        assert time.monotonic() < until, "nobody listens"
        time.sleep(0.01)


def ship(app: Any, *numbers: int) -> None:
    """Ship orders."""
    for number in numbers:
        assert app.test_client().post(f"/orders/{number}/ship").status_code == 204


def opened(app: Any, **options: Any) -> open_stream:
    """Open the stream of a page."""
    return open_stream(app.test_client(), "GET", "/stream?channel=orders", timeout=20, **options)


def test_before_and_after_pass_the_same_events_on(valkey: Valkey) -> None:
    """The old one shows its head with the first of them only."""
    old = run(BEFORE)["app"]

    def publish() -> None:
        wait_for_listener(valkey)
        ship(old, 7, 8)

    publisher = threading.Thread(target=publish)
    publisher.start()
    with opened(old) as stream:
        assert shown(stream.take(2)) == [("shipped", '{"number":7}', None), ("shipped", '{"number":8}', None)]
        publisher.join(20)
        leave(stream, old, valkey)
    names = run(AFTER)
    with opened(names["app"]) as stream:
        (cursor,) = stream.take()
        assert (cursor.event, cursor.data) == ("cursor", "{}")
        ship(names["app"], 7, 8)
        assert [one[:2] for one in shown(stream.take(2))] == [("shipped", '{"number":7}'), ("shipped", '{"number":8}')]
    names["channels"].close()
    assert names["app"].test_client().get("/stream?channel=secret").status_code == 404


def leave(stream: OpenStream, app: Any, valkey: Valkey) -> None:
    """Leave a stream of flask-sse, whose thread ends with the next event."""
    leaving = threading.Thread(target=stream.disconnect)
    leaving.start()
    until = time.monotonic() + 20
    while listeners(valkey):
        assert time.monotonic() < until, "its thread does not end"
        ship(app, 9)
        time.sleep(0.02)
    leaving.join(20)


def test_what_is_published_both_ways_reaches_old_workers_and_new_ones(valkey: Valkey) -> None:
    """With flask-sse's stream open here, and the view of the new program there."""
    old, new = run(BEFORE, MIDDLEWARE, BOTH), run(AFTER)
    with opened(old["app"]) as before, opened(new["app"]) as after:
        wait_for_listener(valkey)
        assert after.take()[0].event == "cursor"
        with old["app"].app_context():
            old["publish"]({"number": 7}, "shipped", "orders")
        for stream in (before, after):
            (event,) = stream.take()
            assert (event.event, event.json()) == ("shipped", {"number": 7})
        leave(before, old["app"], valkey)
    for names in (old, new):
        names["channels"].close()


def test_middleware_sends_the_head_before_the_first_event(valkey: Valkey) -> None:
    """Which flask-sse alone does not."""
    app = run(BEFORE, MIDDLEWARE)["app"]
    with opened(app) as stream:
        assert stream.status_code == 200
        assert "no-transform" in stream.headers["cache-control"]
        wait_for_listener(valkey)
        ship(app, 7)
        assert shown(stream.take()) == [("shipped", '{"number":7}', None)]
        leave(stream, app, valkey)


def test_client_with_an_old_id_is_told_and_gets_what_is_kept(valkey: Valkey) -> None:
    """Published to both, as the page says."""
    names = run(AFTER)
    ship(names["app"], 7)
    with opened(names["app"], headers={"Last-Event-ID": "42"}) as stream:
        gap, event = stream.take(2)
        assert (gap.event, gap.json()["reason"]) == ("gap", "unknown")
        assert event.json() == {"number": 7}
    names["channels"].close()


def test_tables_name_every_public_name_and_argument() -> None:
    """Of the blueprint and of Message."""
    import flask_sse

    blueprint, message = flask_sse.ServerSentEventsBlueprint, flask_sse.Message
    names = ["sse", "ServerSentEventsBlueprint", "Message", *public(blueprint), *public(message)]
    names += [*arguments(message), *(name for name in arguments(blueprint.publish) if name != "self")]
    assert unnamed(PAGE, names) == []
    assert "SSE_REDIS_URL" in left_columns(PAGE)


def test_table_of_the_wire_says_what_flask_sse_does() -> None:
    """Its last rows."""
    from flask_sse import Message

    def read(message: Any) -> list[tuple[str | None, Any, str | None]]:
        return [(event.event, event.data, event.id) for event in EventDecoder().feed(str(message).encode())]

    assert str(Message("x", type="shipped")) == "event:shipped\ndata:x\n\n"
    assert read(Message("")) == []
    assert read(Message("x\n")) == [(None, "x", None)]
    assert read(Message("a\u2028b")) == [(None, "a\nb", None)]
    assert read(Message("x", id="1\n\ndata:forged")) == [(None, "x", "1"), (None, "forged", "1")]
    assert json.loads(EventStream().encode({"a": "\u2028"})[6:]) == {"a": "\u2028"}
