"""Detached streams of real processes that share a log in a file: races, kills, pauses, forks, exits, gevent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamkit.channels import Detached, SQLiteLog
from tests.channels.streams import LOST, Fed, read, until
from tests.engine.interpreter import GEVENT, ROOT, python
from tests.rig.requirements import needs

PRELUDE = """
import asyncio, os, signal, sys, threading, time
from streamkit.channels import Detached, SQLiteLog

def say(*words):
    print(*words, flush=True)

def letters(pause=0.0):
    for letter in "abc":
        time.sleep(pause)
        yield letter

async def async_letters(pause=0.0):
    for letter in "abc":
        await asyncio.sleep(pause)
        yield letter

async def silent():
    try:
        yield "a"
        await asyncio.sleep(60)
    finally:
        say("closed")

path = PATH
"""
WHOLE = [(None, "a"), (None, "b"), (None, "c"), ("done", "")]


@contextmanager
def process(path: Path, code: str) -> Iterator[subprocess.Popen[str]]:
    """Run code beside the test; end it at last."""
    program = PRELUDE.replace("PATH", repr(str(path))) + textwrap.dedent(code)
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def heard(running: subprocess.Popen[str]) -> str:
    """Return the next line that a process says; pytest's timeout bounds the wait."""
    assert running.stdout is not None
    return running.stdout.readline().strip()


def tell(running: subprocess.Popen[str]) -> None:
    """Have a process go on that waits for a line."""
    assert running.stdin is not None
    running.stdin.write("\n")
    running.stdin.flush()


def run(path: Path, code: str, prelude: str = "") -> str:
    """Run code in a process to its end; return what it said."""
    out, err = python(code, prelude=prelude + PRELUDE.replace("PATH", repr(str(path))))
    assert err == ""
    return out


def read_all(path: Path, key: str, **options: float) -> list[tuple[str | None, object]]:
    """Read a stream in this process."""
    log = SQLiteLog(path)
    try:
        return asyncio.run(asyncio.wait_for(read(Detached(log, **options), key), 20))  # type: ignore[arg-type]
    finally:
        log.close()


def test_of_two_processes_that_start_a_key_at_once_one_does(tmp_path: Path) -> None:
    """The other's source is closed unstarted; both say the same of the stream."""
    code = """
        detached = Detached(SQLiteLog(path))
        say("ready")
        sys.stdin.readline()
        begun = []
        for number in range(20):
            source = letters()
            if detached.start_sync(f"k{number}", source):
                begun.append(number)
            else:
                assert source.gi_frame is None
        say(*begun)
        """
    with process(tmp_path / "log.db", code) as first, process(tmp_path / "log.db", code) as second:
        both = (first, second)
        assert [heard(one) for one in both] == ["ready", "ready"]
        for one in both:
            tell(one)
        begun = [int(number) for one in both for number in heard(one).split()]
        assert [one.wait(20) for one in both] == [0, 0]
    assert sorted(begun) == list(range(20))
    for number in range(20):
        assert read_all(tmp_path / "log.db", f"k{number}") == WHOLE


def test_killed_producer_is_told_as_lost(tmp_path: Path) -> None:
    """To a reader that is there, in another process, after what it has given."""
    path = tmp_path / "log.db"
    code = """
        async def main():
            await Detached(SQLiteLog(path), lease=1.5).start("k", silent())
            say("ready")
            await asyncio.sleep(60)
        asyncio.run(main())
        """

    async def main(running: subprocess.Popen[str]) -> None:
        detached = Detached(SQLiteLog(path), lease=1.5)
        reader = asyncio.create_task(read(detached, "k"))
        await asyncio.sleep(0)
        running.send_signal(signal.SIGKILL)
        assert await asyncio.wait_for(reader, 20) == [(None, "a"), LOST]
        assert (await detached.status("k")).state == "lost"
        await detached.close()

    with process(path, code) as running:
        assert heard(running) == "ready"
        asyncio.run(main(running))


def test_producer_that_was_paused_for_longer_than_its_lease_is_stopped(tmp_path: Path) -> None:
    """It writes nothing behind the end that others have recorded, and closes its source."""
    path = tmp_path / "log.db"
    code = """
        async def ticking():
            try:
                while True:
                    yield "tick"
                    await asyncio.sleep(0.01)
            finally:
                say("closed")
        async def main():
            detached = Detached(SQLiteLog(path), lease=1)
            await detached.start("ticking", ticking())
            await detached.start("silent", silent())
            say("ready")
            await asyncio.sleep(60)
        asyncio.run(main())
        """

    async def pause(running: subprocess.Popen[str]) -> list[int]:
        detached = Detached(SQLiteLog(path), lease=1)
        keys = ("ticking", "silent")
        running.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(20):
            while {(await detached.status(key)).state for key in keys} != {"lost"}:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        heads = [detached.log.page(f"detached:{key}", None, 0).head for key in keys]
        running.send_signal(signal.SIGCONT)
        assert [await asyncio.to_thread(heard, running) for _ in keys] == ["closed", "closed"]
        assert [detached.log.page(f"detached:{key}", None, 0).head for key in keys] == heads
        assert (await read(detached, "silent"))[-1] == LOST
        await detached.close()
        return [head.offset for head in heads]

    with process(path, code) as running:
        assert heard(running) == "ready"
        assert asyncio.run(pause(running))[1] == 3


def test_cancel_of_another_process_ends_a_silent_source(tmp_path: Path) -> None:
    """At once, by the log's own news; readers of both are told."""
    path = tmp_path / "log.db"
    code = """
        async def main():
            detached = Detached(SQLiteLog(path), lease=1000)
            await detached.start("k", silent())
            say("ready")
            say([event.event async for event in detached.attach("k")])
        asyncio.run(main())
        """
    log = SQLiteLog(path)
    with process(path, code) as running:
        assert heard(running) == "ready"
        assert Detached(log).cancel_sync("k")
        assert sorted([heard(running), heard(running)]) == ["[None, 'cancelled']", "closed"]
        assert running.wait(10) == 0
    log.close()


def test_child_of_a_fork_touches_no_stream_of_its_parent(tmp_path: Path) -> None:
    """Neither while it runs, nor when it exits; it has streams of its own."""
    out = run(
        tmp_path / "log.db",
        """
        detached = Detached(SQLiteLog(path))
        gate = threading.Event()
        def gated():
            yield "a"
            gate.wait(20)
            yield from "bc"
        assert detached.start_sync("parent", gated())
        child = os.fork()
        if child == 0:
            assert detached.start_sync("child", letters(0.05))
            assert not detached.start_sync("parent", letters())
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert detached.status_sync("parent").state == "running"
        assert detached.status_sync("child").state == "done"
        gate.set()
        """,
    )
    assert out == ""
    assert read_all(tmp_path / "log.db", "parent") == WHOLE
    assert read_all(tmp_path / "log.db", "child") == WHOLE


def test_script_that_ends_waits_for_its_streams(tmp_path: Path) -> None:
    """As long as the grace; what is not done then is recorded as lost at once, no lease is waited for."""
    run(
        tmp_path / "log.db",
        """
        detached = Detached(SQLiteLog(path), lease=1000, grace=1)
        detached.start_sync("sync", letters(0.05))
        detached.start_sync("async", async_letters(0.05))
        detached.start_sync("blocked", letters(60))
        detached.start_sync("silent", silent())
        """,
    )
    assert read_all(tmp_path / "log.db", "sync") == WHOLE
    assert read_all(tmp_path / "log.db", "async") == WHOLE
    assert read_all(tmp_path / "log.db", "blocked") == [LOST]
    assert read_all(tmp_path / "log.db", "silent") == [(None, "a"), LOST]


def test_loop_that_ends_records_its_streams_as_lost(tmp_path: Path) -> None:
    """As where `asyncio.run` returns; the source is closed first."""
    out = run(
        tmp_path / "log.db",
        """
        async def main():
            detached = Detached(SQLiteLog(path), lease=1000)
            await detached.start("k", silent())
            async for event in detached.attach("k"):
                break
        asyncio.run(main())
        """,
    )
    assert out == "closed\n"
    assert read_all(tmp_path / "log.db", "k") == [(None, "a"), LOST]


@needs("gevent")
def test_both_kinds_of_source_run_under_gevent(tmp_path: Path) -> None:
    """A sync one as a greenlet beside the others, an async one on the loop in a native thread; nothing blocks."""
    out = run(
        tmp_path / "log.db",
        """
        ticks = 0
        def ticker():
            global ticks
            while True:
                gevent.sleep(0.001)
                ticks += 1
        gevent.spawn(ticker)
        detached = Detached(SQLiteLog(path), lease=1000, grace=1)
        def start(number):
            assert detached.start_sync(f"sync {number}", letters(0.05))
            assert detached.start_sync(f"async {number}", async_letters(0.05))
        gevent.joinall([gevent.spawn(start, number) for number in range(5)], timeout=10, raise_error=True)
        until = time.monotonic() + 10
        states = set()
        while states != {"done"} and time.monotonic() < until:
            gevent.sleep(0.02)
            states = {detached.status_sync(f"{kind} {number}").state for kind in ("sync", "async") for number in range(5)}
        assert states == {"done"}, states
        assert ticks > 10, ticks
        detached.start_sync("left", silent())
        detached.cancel_sync("left")
        detached.start_sync("lost", letters(60))
        """,
        GEVENT,
    )
    assert out in ("", "closed\n")
    assert read_all(tmp_path / "log.db", "sync 3") == WHOLE
    assert read_all(tmp_path / "log.db", "async 3") == WHOLE
    assert read_all(tmp_path / "log.db", "lost") == [LOST]


def test_stream_in_a_file_is_written_read_and_let_go(tmp_path: Path) -> None:
    """With a log whose calls are made in threads of their own; nothing is left open."""

    async def main() -> None:
        detached, fed = Detached(SQLiteLog(tmp_path / "log.db")), Fed()
        await detached.start("k", fed.items())
        reader = asyncio.create_task(read(detached, "k"))
        fed.pipe.put("a")
        fed.pipe.close()
        assert await reader == [(None, "a"), ("done", "")]
        await until(lambda: not detached._running.here())
        await detached.close()

    asyncio.run(main())
