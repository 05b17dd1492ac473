"""Detached streams of several real processes that share a log in a file: races, kills, pauses, cancels."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path

from streamkit.channels import Detached, SQLiteLog
from streamkit.errors import LogUnavailableError
from tests.channels.processes import WHOLE, heard, process, read_all, tell, wait_until_stored
from tests.channels.streams import LOST, Fed, read, until


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
        wait_until_stored(path, "k")
        asyncio.run(main(running))


def stop_between_transactions(running: subprocess.Popen[str], path: Path) -> None:
    """Stop a process where it does not have the file locked, which would keep everybody else waiting."""
    probe = SQLiteLog(path, timeout=0.5)
    while True:
        running.send_signal(signal.SIGSTOP)
        try:
            probe.hold("probe", "test", 1)
        except LogUnavailableError:
            running.send_signal(signal.SIGCONT)
        else:
            probe.close()
            return


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
        async with asyncio.timeout(20):
            stop_between_transactions(running, path)
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
        wait_until_stored(path, "silent")
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
        wait_until_stored(path, "k")
        assert Detached(log).cancel_sync("k")
        assert sorted([heard(running), heard(running)]) == ["[None, 'cancelled']", "closed"]
        assert running.wait(10) == 0
    log.close()


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
