"""Foreign streams behind the middleware on real servers: items, disconnects, failures and shutdowns."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.middleware.wsgi.apps import BROWSER
from tests.rig.requirements import needs
from tests.rig.scenarios import GATED_ITEMS
from tests.rig.servers import SERVERS, Server

pytestmark = pytest.mark.servers

FLASK = "tests.middleware.wsgi.served_flask"
GTHREAD = pytest.param("gunicorn-gthread", marks=needs("gunicorn", "flask"))
GEVENT = pytest.param("gunicorn-gevent", marks=needs("gunicorn", "gevent", "flask"))
WAITRESS = pytest.param("waitress", marks=needs("waitress", "flask"))

on_wsgi_servers = pytest.mark.parametrize("name", [GTHREAD, GEVENT, WAITRESS])
on_django_servers = pytest.mark.parametrize(
    "name",
    [
        pytest.param("uvicorn-httptools", marks=needs("uvicorn", "httptools", "uvloop", "django")),
        pytest.param("gunicorn-gthread", marks=needs("gunicorn", "django")),
    ],
)


@contextmanager
def django(name: str) -> Iterator[Server]:
    """Serve the Django project by the handler that the server takes."""
    kind = SERVERS[name]
    with Server(kind, f"tests.middleware.django.served:{kind.interface}_app") as server:
        yield server


@on_wsgi_servers
@pytest.mark.parametrize("app", ["app", "lively"])
def test_flask_generator_streams_item_by_item(name: str, app: str) -> None:
    """In its request context, with the headers of a stream; with a keepalive where the app asked for one."""
    with Server(SERVERS[name], f"{FLASK}:{app}") as server:
        with server.open("/gated") as stream:
            if app == "lively":
                stream.read_until(b":\n:\n")
            for number in range(GATED_ITEMS):
                server.side_door.allow(number + 1)
                stream.read_until(b"data: /gated item %d\n\n" % number)
            stream.read_to_end()
            assert stream.clean
            assert stream.head().get("x-accel-buffering") == "no"
            assert stream.head().get("cache-control") == "no-cache, no-transform"
        record = server.side_door.streams()[0]
        assert (record["closed"], record["ended_by"], record["strayed"]) == (1, "completed", [])


@on_wsgi_servers
@pytest.mark.parametrize("app", ["app", "lively"])
def test_flask_generator_is_closed_when_its_client_leaves(name: str, app: str) -> None:
    """Once, where it ran."""
    with Server(SERVERS[name], f"{FLASK}:{app}") as server:
        with server.open("/ticking") as stream:
            stream.read_until(b"data: /ticking 1\n\n")
        record = server.side_door.wait_for(lambda record: record["closed"] > 0, within=10, what="a close")
        assert (record["closed"], record["ended_by"], record["strayed"]) == (1, "GeneratorExit", [])


@on_wsgi_servers
def test_failing_flask_generator_cuts_the_connection(name: str) -> None:
    """Half a stream is no whole one."""
    with Server(SERVERS[name], f"{FLASK}:app") as server, server.open("/half") as stream:
        assert stream.read_to_end() == b"data: a\n\n"
        assert stream.ending == "truncated"


def _ends_at_sigterm(server: Server, path: str) -> None:
    with ExitStack() as stack:
        browser = stack.enter_context(server.open(path, headers=BROWSER))
        others = [stack.enter_context(server.open(path)) for _ in range(3)]
        for stream in (browser, *others):
            stream.read_until(b"data: hello\n\n")
        server.signal(signal.SIGTERM)
        assert b"retry: " in browser.read_to_end()
        assert browser.clean
        for other in others:
            assert b"retry" not in other.read_to_end()
            assert other.ending == "truncated"
    server.wait_until_gone(15)


@pytest.mark.parametrize("name", [GTHREAD, GEVENT])
@pytest.mark.parametrize("app", ["app", "lively"])
def test_server_with_idle_flask_generators_ends_at_sigterm(name: str, app: str) -> None:
    """A browser is told when to come back; whoever would take that for a whole answer is cut off."""
    with Server(SERVERS[name], f"{FLASK}:{app}") as server:
        _ends_at_sigterm(server, "/idle")


@on_django_servers
@pytest.mark.parametrize("source", ["sync", "async"])
def test_django_stream_leaves_item_by_item(name: str, source: str) -> None:
    """Sync and async ones under either handler, uncompressed, though the client takes gzip."""
    with django(name) as server, server.open(f"/{source}/gated", headers={"Accept-Encoding": "gzip"}) as stream:
        for number in range(GATED_ITEMS):
            server.side_door.allow(number + 1)
            stream.read_until(b"data: item %d\n\n" % number)
        stream.read_to_end()
        assert stream.clean
        assert stream.head().get("content-encoding") is None
        assert stream.head().get("x-accel-buffering") == "no"
        record = server.side_door.streams()[0]
        assert (record["closed"], record["ended_by"], record["strayed"]) == (1, "completed", [])


@on_django_servers
@pytest.mark.parametrize("path", ["/sync/ticking", "/async/ticking", "/async/spinning"])
def test_django_stream_is_closed_when_its_client_leaves(name: str, path: str) -> None:
    """Also one that never awaits; other requests are served meanwhile."""
    with django(name) as server:
        with server.open(path) as stream:
            stream.read_until(b"data: 1\n\n")
            with server.open("/async/idle") as other:
                other.read_until(b"data: hello\n\n")
        left = path.rpartition("/")[2]
        record = server.side_door.wait_for(
            lambda record: record["scenario"] == left and record["closed"] > 0, within=10, what="the close"
        )
        assert (record["closed"], record["strayed"]) == (1, [])


@on_django_servers
def test_server_with_idle_django_streams_ends_at_sigterm(name: str) -> None:
    """An async source is woken where it waits, under either handler."""
    with django(name) as server:
        _ends_at_sigterm(server, "/async/idle")
