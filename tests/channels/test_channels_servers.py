"""Channels on real servers: the same under WSGI as on ASGI, with keepalives, on a log in the memory of one worker."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from streamkit import Event, EventDecoder
from tests.rig.http import HTTPStream
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server

pytestmark = pytest.mark.servers

APPS = {
    "flask": "tests.rig.apps.channels_flask:app",
    "django-wsgi": "tests.rig.apps.channels_django:wsgi_app",
    "django-asgi": "tests.rig.apps.channels_django:asgi_app",
    "starlette": "tests.rig.apps.channels_starlette:app",
}
SERVED = [
    ("uvicorn-httptools", "starlette"),
    ("uvicorn-h11", "django-asgi"),
    ("granian-asgi", "starlette"),
    ("granian-asgi", "django-asgi"),
    ("gunicorn-gthread", "flask"),
    ("gunicorn-gthread", "django-wsgi"),
    ("gunicorn-gevent", "flask"),
    ("gunicorn-gevent", "django-wsgi"),
    ("waitress", "flask"),
]
PARAMS = [
    pytest.param(
        (server, APPS[app]),
        id=f"{server}-{app}",
        # One worker, since each would start the server anew.
        marks=(
            needs(*SERVERS[server].parts, app.partition("-")[0]),
            pytest.mark.xdist_group(f"channels {server} {app}"),
        ),
    )
    for server, app in SERVED
]


@pytest.fixture(scope="module", params=PARAMS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Serve an app."""
    kind, app = request.param
    with Server(SERVERS[kind], app) as server:
        yield server


def ask(server: Server, target: str) -> str:
    """Return the body of an answer."""
    with server.open(target) as stream:
        body = stream.read_to_end()
        assert stream.status == 200, body
        return body.decode()


def publish(server: Server, *numbers: int) -> list[str]:
    """Publish numbers; return their ids."""
    return [ask(server, f"/publish?n={number}") for number in numbers]


def events(stream: HTTPStream) -> list[Event]:
    """Return what has been dispatched."""
    return EventDecoder().feed(stream.body)


def wait_for_subscribers(server: Server, count: int) -> None:
    """Wait until so many are subscribed."""
    until = time.monotonic() + 5
    while (found := json.loads(ask(server, "/state"))["subscribers"]) != count:
        assert time.monotonic() < until, f"{found} subscribers"
        time.sleep(0.02)


def test_events_arrive_one_by_one_and_keepalives_between(server: Server) -> None:
    """Each event is there before the next is published, and an idle stream says that it lives."""
    with server.open("/events") as stream:
        stream.read_until(b"event: cursor")
        for number in range(3):
            publish(server, number)
            stream.read_until(b'data: {"n":%d}\n\n' % number, within=3)
        idle = len(stream.body)
        stream.read_until(b'"n":2}\n\n:\n:\n', within=3)
        assert len(stream.body) > idle
        assert stream.head().get("content-type") == "text/event-stream"


def test_client_that_comes_back_misses_nothing(server: Server) -> None:
    """By the header, as EventSource does it: what was published meanwhile, then what is live."""
    with server.open("/events") as stream:
        stream.read_until(b"event: cursor")
        publish(server, 1)
        stream.read_until(b'"n":1}\n\n')
        last = events(stream)[-1].id
    publish(server, 2, 3)
    with server.open("/events?caught_up=1", headers={"Last-Event-ID": str(last)}) as again:
        again.read_until(b"event: caught-up")
        publish(server, 4)
        again.read_until(b'"n":4}\n\n')
        found = [event.event or json.loads(event.data)["n"] for event in events(again)]
        assert found == [2, 3, "caught-up", 4]


def test_page_loses_nothing_between_its_position_and_its_stream(server: Server) -> None:
    """By the query, as a page that was rendered with an id does it."""
    position = ask(server, "/position")
    publish(server, 5)
    with server.open(f"/events?last_event_id={position}") as stream:
        stream.read_until(b'"n":5}\n\n')
        assert len(events(stream)) == 1


def test_strange_id_is_told_as_a_gap(server: Server) -> None:
    """The stream is as good as any other: an EventSource never comes back after an error."""
    (last,) = publish(server, 6)
    for strange in ("garbage", "é💥".encode().decode("latin-1"), "x" * 2_000):
        with server.open("/events", headers={"Last-Event-ID": strange}) as stream:
            stream.read_until(last.encode())
            assert stream.status == 200
            gap = events(stream)[0]
            assert (gap.event, json.loads(gap.data)["reason"]) == ("gap", "unknown")
            assert strange.encode("latin-1").decode().startswith(json.loads(gap.data)["requested"])


def test_client_that_leaves_is_no_subscriber_any_more(server: Server) -> None:
    """Whoever has left is forgotten as soon as the server notices."""
    wait_for_subscribers(server, 0)
    with ExitStack() as stack:
        streams = [stack.enter_context(server.open("/events")) for _ in range(5)]
        for stream in streams:
            stream.read_until(b"event: cursor")
        wait_for_subscribers(server, 5)
        for number, stream in enumerate(streams):
            stream.leave(reset=number % 2 == 0)
        wait_for_subscribers(server, 0)


def test_head_request_subscribes_to_nothing(server: Server) -> None:
    """It is answered with the headers alone."""
    wait_for_subscribers(server, 0)
    with server.open("/events", method="HEAD") as stream:
        assert stream.head().status == 200
        assert stream.head().get("content-type") == "text/event-stream"
        assert stream.linger(0.1) in (b"", b"0\r\n\r\n")  # waitress's own, see docs/contract.md
        assert json.loads(ask(server, "/state"))["subscribers"] == 0
