"""Contract points 15 and 16, which are about a process and not about a server: loops, forks, threads."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest

from streamkit import set_max_threads
from tests.rig.apps import asgi, wsgi
from tests.rig.asgi import ASGIHost
from tests.rig.requirements import needs
from tests.rig.scenarios import GATED_ITEMS
from tests.rig.servers import SERVERS, Server, ServerKind
from tests.rig.wsgi import WSGIHost

MODES = ("sync", "async")


@pytest.mark.parametrize("mode", MODES)
def test_two_event_loops_stream_at_once(mode: str) -> None:
    """Streams of two loops of one process run beside each other, and go on when one loop ends."""
    first, second = ASGIHost(asgi.app), ASGIHost(asgi.app)
    first.side_door.reset()
    streams = [host.open(f"/{mode}/lively") for host in (first, second)]
    for stream in streams:
        stream.read_until(b":\n")
    first.stop()
    second.side_door.allow(GATED_ITEMS)
    assert b"item 4" in streams[1].read_to_end()
    second.stop()


@pytest.mark.parametrize("mode", MODES)
def test_new_event_loop_streams_after_an_old_one_was_closed(mode: str) -> None:
    """Nothing of a closed loop is left where the next one could find it, as in one test after the other."""
    for _ in range(3):
        with ASGIHost(asgi.app) as host, host.open(f"/{mode}/finite") as stream:
            assert stream.read_to_end().endswith(b"event: done\ndata: \n\n")
            assert stream.clean


@needs("gunicorn")
@pytest.mark.servers
@pytest.mark.parametrize("mode", MODES)
def test_streams_work_in_a_process_forked_after_streaming(mode: str) -> None:
    """A worker forked from a process that has streamed starts threads and loops of its own."""
    kind = SERVERS["gunicorn-gthread"]
    preload = ServerKind("gunicorn-preload", "wsgi", f"{kind.command} --preload --workers 2", kind.parts)
    with Server(preload, "tests.rig.apps.preforked:app") as server:
        for _ in range(6):
            with server.open(f"/{mode}/finite") as stream:
                assert stream.read_to_end().endswith(b"event: done\ndata: \n\n")
                assert stream.clean


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Allow two pump threads, and what is usual afterwards."""
    set_max_threads(2)
    yield
    set_max_threads(1_000)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_stream_over_the_thread_cap_is_put_off(interface: str) -> None:
    """A browser is told when to come back, any other client gets a 503; once there is room, streams run again."""
    host = ASGIHost(asgi.app) if interface == "asgi" else WSGIHost(wsgi.app)
    with host:
        host.side_door.reset()
        streams = [host.open("/sync/lively") for _ in range(2)]
        for stream in streams:
            stream.read_until(b":\n")
        with host.open("/sync/lively", headers={"Accept": "text/event-stream"}) as late:
            assert late.head().status == 200
            assert re.fullmatch(rb"retry: [0-9]+\n+", late.read_to_end())
            assert late.clean
        with host.open("/sync/ndjson_lively", headers={"Accept": "application/x-ndjson"}) as late:
            assert late.head().status == 503
            assert int(late.head().get("retry-after") or "") > 0
        host.side_door.allow(GATED_ITEMS)
        for stream in streams:
            stream.read_to_end()
        with host.open("/sync/finite") as stream:
            assert b"done" in stream.read_to_end()


def test_sync_source_on_one_thread_runs_inline() -> None:
    """Where the environ says that there is one thread, no second one is started."""
    with WSGIHost(wsgi.app, multithread=False) as host:
        host.side_door.reset()
        before = set(threading.enumerate())
        with host.open("/sync/lively") as stream:
            stream.head()
            new = {thread.name for thread in threading.enumerate() if thread not in before}
            assert new == {"rig-wsgi-host"}
            host.side_door.allow(GATED_ITEMS)
            assert b"item 4" in stream.read_to_end()
