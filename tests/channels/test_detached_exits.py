"""Detached streams of a process that forks, exits, ends its loop, or runs under gevent."""

from __future__ import annotations

from pathlib import Path

from tests.channels.processes import WHOLE, read_all, run
from tests.channels.streams import LOST
from tests.engine.interpreter import GEVENT
from tests.rig.requirements import needs


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
        forks=True,
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
            keys = [f"{kind} {number}" for kind in ("sync", "async") for number in range(5)]
            states = {detached.status_sync(key).state for key in keys}
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
