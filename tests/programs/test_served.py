"""The programs whose point is the server: several workers, both interfaces of Django, the memory of an export."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.rig.http import HTTPStream
from tests.rig.process import Process
from tests.rig.requirements import needs
from tests.rig.servers import ROOT, free_port

pytestmark = pytest.mark.servers

WITHIN = 20.0  # seconds


def served(command: str, **environment: str) -> Process:
    """Start a server of this environment, at the port that stands for {port}; `with` ends it."""
    port = free_port()
    parts = [sys.executable, "-m", *command.format(port=port).split()]
    return Process(parts, {}, port, environment={"PYTHONPATH": str(ROOT), **environment})


@needs("gunicorn")
def test_client_resumes_in_another_worker_what_another_process_has_published(tmp_path: Path) -> None:
    """The worker that held the stream is ended; the next one has what a task has published meanwhile, once."""
    log = {"EVENTS": str(tmp_path / "events.db")}
    gunicorn = "gunicorn --bind 127.0.0.1:{port} --workers 2 --threads 4 --no-control-socket tests.programs.resume:app"
    with served(gunicorn, **log) as server:
        with HTTPStream(server.port, "/orders") as stream:
            first = int(stream.head(WITHIN).get("X-Worker") or 0)
            stream.read_until(b"event: cursor", WITHIN)
            order = urllib.request.Request(
                f"{server.url}/orders", json.dumps({"number": 7}).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(order, timeout=WITHIN) as answer:
                id = answer.read().decode()
            assert f'id: {id}\ndata: {{"number":7}}'.encode() in stream.read_until(b'{"number":7}', WITHIN)
        os.kill(first, signal.SIGTERM)
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(first).wait(WITHIN)
        task = [sys.executable, "-m", "tests.programs.task"]
        subprocess.run(task, cwd=ROOT, env={**os.environ, **log}, check=True, timeout=WITHIN)
        with HTTPStream(server.port, "/orders", headers={"Last-Event-ID": id}) as stream:
            assert int(stream.head(WITHIN).get("X-Worker") or 0) not in {0, first}
            missed = stream.read_until(b'{"shipped":7}', WITHIN)
            assert b"number" not in missed
            assert b"gap" not in missed
            assert missed.count(b"event: shipped") == 1


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(
            "gunicorn --bind 127.0.0.1:{port} --threads 4 --no-control-socket tests.programs.django_views:wsgi",
            marks=needs("gunicorn"),
            id="wsgi",
        ),
        pytest.param("uvicorn --port {port} tests.programs.django_views:asgi", marks=needs("uvicorn"), id="asgi"),
    ],
)
def test_django_views_stream_under_both_interfaces(command: str) -> None:
    """Sync or async view, sync or async source: the same events, to the last of them."""
    with served(command) as server:
        for target in ("/words", "/words?async", "/words-async"):
            with HTTPStream(server.port, target) as stream:
                body = stream.read_to_end(WITHIN)
                assert stream.clean
                assert re.findall(rb"data: (\w+)", body) == [b"one", b"by", b"one"]
                assert body.endswith(b"event: done\ndata: \n\n")


@needs("uvicorn")
def test_export_of_a_million_rows_needs_no_more_memory_than_one_of_a_thousand() -> None:
    """The server's memory stays where it was while a thousand times as many bytes pass."""
    with served("uvicorn --port {port} --no-access-log tests.programs.export:app") as server:
        process = psutil.Process(server.pid)

        def export(count: int) -> tuple[int, bytes, int]:
            """Return how many bytes came, the last of them, and the most memory seen meanwhile."""
            size, last, most = 0, b"", 0
            with urllib.request.urlopen(f"{server.url}/rows.ndjson?count={count}", timeout=WITHIN) as body:
                while chunk := body.read(2**20):
                    size, last = size + len(chunk), (last + chunk)[-100:]
                    most = max(most, process.memory_info().rss)
            return size, last, most

        _, _, before = export(1_000)
        size, last, most = export(1_000_000)
        assert last.endswith(b'{"id":999999,"name":"row 999999"}\n{"complete":true}\n')
        assert size > 30_000_000
        assert most - before < 10_000_000
