"""Contract point 10 where the process is not a plain one: forked after the import, reloaded, with several loops.

The hooks of docs/shutdown.md run as they stand there.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

import streamkit
from tests.contract.declared import ADAPTERS
from tests.contract.seconds import PAGE
from tests.rig.apps import asgi
from tests.rig.http import HTTPStream
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server, free_port
from tests.rig.stream import Stalled

pytestmark = pytest.mark.servers

BROWSER = {"Accept": "text/event-stream"}
ITEM = b"id: 1\ndata: item\n\n"
(HOOKS,) = re.findall(r"^```python\n(# gunicorn.conf.py\n.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@needs("gunicorn")
@pytest.mark.parametrize("adapter", ["wsgi", pytest.param("flask", marks=needs("flask"))])
def test_preloaded_workers_end_their_streams_by_the_documented_hook(adapter: str, tmp_path: Path) -> None:
    """A worker that was forked after the import has the server's handlers only later, and chains them in the hook."""
    (tmp_path / "gunicorn.conf.py").write_text(HOOKS)
    kind = SERVERS["gunicorn-gthread"]
    preloading = replace(kind, command=f"{kind.command} --preload --config {tmp_path}/gunicorn.conf.py")
    with Server(preloading, ADAPTERS[adapter][0]) as server:
        with server.open("/async/idle", headers=BROWSER) as stream:
            stream.read_until(ITEM)
            server.signal(signal.SIGTERM)
            assert stream.read_to_end().startswith(ITEM + b"retry: ")
            assert stream.clean
        server.wait_until_gone(10.0)
        assert [record["closed"] for record in server.journal()] == [1]


@needs("gunicorn")
def test_worker_that_has_answered_enough_ends_its_streams_by_the_documented_hook(tmp_path: Path) -> None:
    """The server waits for the streams of a worker that it replaces, and sends it no signal."""
    (tmp_path / "gunicorn.conf.py").write_text(HOOKS)
    kind = SERVERS["gunicorn-gthread"]
    short = replace(kind, command=f"{kind.command} --max-requests 3 --config {tmp_path}/gunicorn.conf.py")
    with Server(short, ADAPTERS["wsgi"][0]) as server, server.open("/async/idle", headers=BROWSER) as stream:
        before = server.side_door.ask("pid")
        stream.read_until(ITEM)
        for _ in range(2):
            with server.open("/async/finite") as other:
                other.read_to_end()
        assert stream.read_to_end().startswith(ITEM + b"retry: ")
        stream.leave()
        _wait_for_another(server, before)
        with server.open("/async/finite") as other:
            assert other.read_to_end().endswith(b"event: done\ndata: \n\n")


@needs("uvicorn")
def test_reload_waits_for_no_stream(tmp_path: Path) -> None:
    """While one writes code, the old process goes although a page listens, and the new one answers."""
    kind = SERVERS["uvicorn-h11"]
    code = tmp_path / "code.py"
    code.touch()
    with Server(
        replace(kind, command=f"{kind.command} --reload --reload-dir {tmp_path}"), ADAPTERS["asgi"][0]
    ) as server:
        before = server.side_door.ask("pid")
        with server.open("/async/idle", headers=BROWSER) as stream:
            stream.read_until(ITEM)
            _edit(code, server)
            assert stream.read_to_end().startswith(ITEM + b"retry: ")
        _wait_for_another(server, before)
        with server.open("/async/finite") as stream:
            assert stream.read_to_end().endswith(b"event: done\ndata: \n\n")


def _edit(code: Path, server: Server) -> None:
    """Change a file until the server has noticed; it cannot before it has seen the file once."""
    for second in range(1, 11):
        os.utime(code, (time.time() + second, time.time() + second))
        with contextlib.suppress(Stalled):
            server.wait_for_log("detected changes", within=2.0)
            return
    raise Stalled(f"no reload:\n{server.log()}")


def _wait_for_another(server: Server, before: int, within: float = 20.0) -> None:
    """Wait until another process than `before` has loaded the application."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if server.side_door.ask("pid") != before:
                return
        time.sleep(0.05)
    raise Stalled(f"no new process within {within} s:\n{server.log()}")


@contextlib.contextmanager
def _serving() -> Iterator[int]:
    """Run uvicorn in a thread of this process; yield its port."""
    import uvicorn

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(asgi.app, host="127.0.0.1", port=port, log_level="warning", loop="asyncio"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        until = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < until
            time.sleep(0.02)
        yield port
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@needs("uvicorn")
def test_drain_by_hand_ends_the_streams_of_every_loop() -> None:
    """A server that runs in a thread hears of no signal; `drain()` reaches the streams of all."""
    with ExitStack() as stack:
        ports = [stack.enter_context(_serving()) for _ in range(2)]
        streams = [stack.enter_context(HTTPStream(port, "/async/idle", headers=BROWSER)) for port in ports]
        for stream in streams:
            stream.read_until(ITEM)
        assert streamkit.drain() == 2
        for stream in streams:
            assert stream.read_to_end().startswith(ITEM + b"retry: ")
            assert stream.clean
