"""What only processes of their own can show of the log in a file: forks, gevent, a kill, an exit."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from streamkit.channels import SQLiteLog
from tests.channels.logs import Told
from tests.engine.interpreter import GEVENT, python

PRELUDE = """
import gc, logging, os, sys, threading, time
from pathlib import Path
from streamkit.channels import SQLiteLog
from tests.channels.logs import Told

path = Path({path!r})

def open_files():
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            pass  # it was the listing's own
    return [name for name in found if "log.db" in name]

def payloads(log, channel="a"):
    found, at = [], None
    while entries := log.page(channel, at, 10_000).entries:
        found += [entry.payload for entry in entries]
        at = entries[-1].position
    return found
"""


def run(code: str, path: Path, prelude: str = PRELUDE) -> tuple[str, str]:
    """Run code in a new interpreter, with the path of the file."""
    return python(code, prelude=prelude.replace("{path!r}", repr(str(path))))


def test_child_of_a_fork_uses_nothing_of_its_parent(tmp_path: Path) -> None:
    """No file, lock, thread or watcher; parent and child, and its child, all go on, and are told of each other."""
    out, err = run(
        """
        log = SQLiteLog(path)
        log.append("a", b"parent")
        told = Told()
        log.watch("a", told)
        told.wait_none()
        assert open_files()
        held, end = threading.Event(), threading.Event()
        def hold():
            with log._lock:
                held.set()
                end.wait(20)
        threading.Thread(target=hold).start()
        held.wait(5)
        pid = os.fork()
        if pid == 0:
            assert open_files() == [], open_files()
            assert log._watched() == []
            mine = Told()
            log.watch("a", mine)
            mine.wait_none()
            log.append("a", b"child")
            grandchild = os.fork()
            if grandchild == 0:
                assert open_files() == []
                log.append("a", b"grandchild")
                log.close()
                os._exit(0)
            assert os.waitpid(grandchild, 0)[1] == 0
            mine.wait(lambda: mine.payloads == [b"child", b"grandchild"] or mine.calls.count(None) > 1)
            gc.collect()
            log.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        end.set()
        told.wait(lambda: b"grandchild" in told.payloads or told.calls.count(None) > 1)
        log.append("a", b"end")
        told.wait(lambda: b"end" in told.payloads)
        assert payloads(log) == [b"parent", b"child", b"grandchild", b"end"]
        log.close()
        print("fine")
        """,
        tmp_path / "log.db",
    )
    assert (out, err) == ("fine\n", "")


def test_fork_waits_for_threads_that_use_the_file(tmp_path: Path) -> None:
    """Threads append all the while; no fork has the file open, and no entry is lost or stored twice."""
    out, err = run(
        """
        log = SQLiteLog(path, timeout=20, max_events=10**6, max_bytes=2**30)
        stop = threading.Event()
        counts = [0, 0, 0]
        def work(number):
            while not stop.is_set():
                log.append("a", b"%d %d" % (number, counts[number]))
                counts[number] += 1
        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for number in range(10):
            pid = os.fork()
            if pid == 0:
                assert open_files() == [], open_files()
                log.append("a", b"child %d" % number)
                log.close()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        for thread in threads:
            thread.join(10)
        found = payloads(log)
        for number, count in enumerate(counts):
            mine = [payload for payload in found if payload.startswith(b"%d " % number)]
            assert mine == [b"%d %d" % (number, each) for each in range(count)], (number, count)
        assert [payload for payload in found if payload.startswith(b"c")] == [b"child %d" % each for each in range(10)]
        log.close()
        print("fine")
        """,
        tmp_path / "log.db",
    )
    assert (out, err) == ("fine\n", "")


def test_fork_waits_for_threads_that_open_and_close_the_file(tmp_path: Path) -> None:
    """No child finds a lock inside SQLite that a thread of its parent had taken, and will never give back."""
    out, err = run(
        """
        SQLiteLog(path).append("a", b"parent")
        stop = threading.Event()
        def work():
            while not stop.is_set():
                log = SQLiteLog(path, timeout=20)
                log.exists("a")
                log.close()
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(20):
            pid = os.fork()
            if pid == 0:
                assert SQLiteLog(path).exists("a")
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        for thread in threads:
            thread.join(10)
        print("fine")
        """,
        tmp_path / "log.db",
    )
    assert (out, err) == ("fine\n", "")


def test_fork_that_python_does_not_hear_of_is_warned_of(tmp_path: Path) -> None:
    """As uWSGI forks: nobody could close the file before. What was copied stays as it is, closed by nobody."""
    out, err = run(
        """
        import ctypes
        logging.basicConfig(format="%(message)s")
        log = SQLiteLog(path)
        log.append("a", b"1")
        before = open_files()
        pid = ctypes.PyDLL(None).fork()
        if pid == 0:
            log.append("a", b"2")
            gc.collect()
            assert len(open_files()) > len(before), open_files()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        log.append("a", b"3")
        assert payloads(log) == [b"1", b"2", b"3"]
        log.close()
        print("fine")
        """,
        tmp_path / "log.db",
    )
    assert out == "fine\n"
    assert err.startswith("SQLiteLog: this process was forked while its parent had the file open")
    assert err.count("\n") == 1


def test_poller_is_a_native_thread_under_gevent(tmp_path: Path) -> None:
    """It looks also while a greenlet blocks the hub, and the hub turns while it waits."""
    out, err = run(
        """
        original = monkey.get_original("time", "sleep")
        log, other = SQLiteLog(path), SQLiteLog(path)
        told = []
        log.watch("a", told.append)
        def wait(condition, sleep):
            for _ in range(1000):
                if condition():
                    return
                sleep(0.01)
            raise AssertionError(told)
        wait(lambda: told == [None], original)
        other.append("a", b"1")
        wait(lambda: len(told) == 2, original)  # the hub does not turn here
        ticks = []
        ticker = gevent.spawn(lambda: [ticks.append(gevent.sleep(0.001)) for _ in range(50)])
        other.append("a", b"2")
        wait(lambda: len(told) == 3 and len(ticks) == 50, gevent.sleep)
        hubs = [each for each in gc.get_objects() if isinstance(each, gevent.hub.Hub)]
        assert len(hubs) == 1, hubs  # waiting with a lock of gevent's would make one for the thread
        pid = os.fork()
        if pid == 0:
            log.append("a", b"3")
            log.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        wait(lambda: told.count(None) == 2 or len(told) == 4, gevent.sleep)
        log.close()
        other.close()
        print("fine")
        """,
        tmp_path / "log.db",
        GEVENT + PRELUDE,
    )
    assert (out, err) == ("fine\n", "")


def test_log_that_nobody_closed_is_closed_at_the_end(tmp_path: Path) -> None:
    """When it is collected, and when the interpreter exits while somebody watches; an open connection would warn."""
    out, err = run(
        """
        log = SQLiteLog(path)
        log.append("a", b"1")
        del log
        gc.collect()
        assert open_files() == []
        log = SQLiteLog(path)
        told = Told()
        log.watch("a", told)
        told.wait_none()
        log.append("a", b"1")
        print("fine")
        """,
        tmp_path / "log.db",
    )
    assert (out, err) == ("fine\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["log.db"]


def test_process_that_is_killed_takes_nothing_with_it(tmp_path: Path) -> None:
    """What it had appended is there, and others go on."""
    path = tmp_path / "log.db"
    log = SQLiteLog(path)
    told = Told()
    log.watch("a", told)
    told.wait_none()
    code = """
        import signal
        log = SQLiteLog(path)
        for number in range(2000):
            log.append("a", b"%d" % number)
            print(number, flush=True)
            if number == 500:
                os.kill(os.getpid(), signal.SIGKILL)
    """
    program = PRELUDE.replace("{path!r}", repr(str(path)))
    command = [sys.executable, "-c", program + code.replace("\n        ", "\n")]
    done = subprocess.run(command, capture_output=True, timeout=50, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout.split()[-1] == b"500"
    log.append("a", b"after")
    found = [entry.payload for entry in log.page("a", None, 1000).entries]
    assert found == [*(b"%d" % number for number in range(501)), b"after"]
    told.wait(lambda: b"after" in told.payloads)
    log.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
