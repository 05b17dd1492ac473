"""What is special to the log in a file: the file itself, its errors, and the thread that looks into it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from streamkit.channels import SQLiteLog
from streamkit.channels._sqlite.poller import MOST_BYTES, MOST_ROWS, POLL, RETRY, Poller
from streamkit.errors import LogUnavailableError
from tests.channels.logs import Time, Told, copy
from tests.engine.fake_clock import FakeClock
from tests.engine.interpreter import python


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is to be."""
    return tmp_path / "log.db"


@pytest.fixture
def clock() -> FakeClock:
    """The poller's clock, moved by `look`."""
    return FakeClock()


Open = Callable[..., SQLiteLog]


@pytest.fixture
def open_log(path: Path) -> Iterator[Open]:
    """Open handles, as several processes would; with a `clock`, the poller looks only when the test lets it."""
    opened: list[tuple[SQLiteLog, FakeClock | None]] = []

    def make(where: Path = path, clock: FakeClock | None = None, **options: object) -> SQLiteLog:
        log = SQLiteLog(where, **options)  # type: ignore[arg-type]
        if clock is not None:
            log._clock = clock
        opened.append((log, clock))
        return log

    yield make
    for log, clock in opened:
        log.close()
        if clock is not None:
            assert clock.sleeping == 0 or wait_for_end("streamkit-log-poller")


def wait_for_end(name: str) -> bool:
    """Wait until no thread has this name."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(5)
            assert not thread.is_alive()
    return True


def look(clock: FakeClock, seconds: float = POLL) -> None:
    """Have the poller look once, and return when it has."""
    with clock._changed:
        assert clock._changed.wait_for(lambda: clock._sleepers, 5)
        before = list(clock._sleepers)
    clock.advance_threads(seconds)
    with clock._changed:
        assert clock._changed.wait_for(lambda: set(clock._sleepers) - set(before), 5)


def payloads(log: SQLiteLog, channel: str = "a") -> list[bytes | None]:
    """Return what a channel holds."""
    return [entry.payload for entry in log.page(channel, None).entries]


# -- the file ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", ":memory:", "a\0b"])
def test_path_that_is_no_file_is_refused(value: str) -> None:
    """At once, with the value: each connection to a database in memory has another one."""
    with pytest.raises(ValueError, match=r"SQLiteLog\.path must name a file that processes can share, not"):
        SQLiteLog(value)


def test_path_of_another_type_is_refused() -> None:
    """A connection, say."""
    with pytest.raises(TypeError, match=r"SQLiteLog\.path must be a str or a path, not None"):
        SQLiteLog(None)  # type: ignore[arg-type]


def test_relative_path_means_the_directory_of_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may go elsewhere before the first use."""
    monkeypatch.chdir(tmp_path)
    log = SQLiteLog("log.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    log.append("a", b"1")
    log.close()
    assert (tmp_path / "log.db").exists()


def test_nothing_is_opened_before_the_first_use(path: Path, open_log: Open) -> None:
    """So that it can be made at module level, before a fork."""
    log = open_log()
    assert not path.exists()
    assert repr(log) == f"SQLiteLog({str(path)!r})"


def test_handles_that_make_the_file_at_the_same_time_agree(tmp_path: Path, open_log: Open) -> None:
    """As the workers of a server do when they start."""
    for round in range(5):
        logs = [open_log(tmp_path / f"{round}.db") for _ in range(6)]
        run_all([lambda log=log: log.append("a", b"1") for log in logs])  # type: ignore[misc]
        assert len(payloads(logs[0])) == len(logs)


def test_threads_share_a_log(open_log: Open) -> None:
    """Each uses a connection of its own, and no more are opened than there are threads."""
    log = open_log()
    run_all([lambda name=name: [log.append("a", b"%d" % name) for _ in range(50)] for name in range(6)])  # type: ignore[misc]
    entries = log.page("a", None, 1000).entries
    assert [entry.position.offset for entry in entries] == list(range(1, 301))
    assert 1 <= len(log._here.here().connections._slots) <= 6


def run_all(jobs: list[Callable[[], object]]) -> None:
    """Run jobs in threads that begin together; fail where one does."""
    begin = threading.Barrier(len(jobs))
    errors: list[BaseException] = []

    def run(job: Callable[[], object]) -> None:
        try:
            begin.wait(5)
            job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors, errors


def test_deleted_file_is_noticed(path: Path, open_log: Open) -> None:
    """By who watches and by who appends; what is left beside it does not get into the new one."""
    log, other = open_log(), open_log()
    log.append("a", b"1")
    other.append("a", b"2")
    told = Told()
    log.watch("a", told)
    told.wait_none()
    other.append("a", b"seen")  # at the beginning there may be two None: by whoever watches, and by the poller
    told.wait(lambda: told.payloads == [b"seen"])
    before = told.calls.count(None)
    path.unlink()  # and not the two beside it
    told.wait_none(before + 1)
    other.append("a", b"3")
    told.wait(lambda: told.payloads == [b"seen", b"3"])
    assert payloads(log) == payloads(other) == [b"3"]


def test_file_put_in_its_place_is_noticed_and_not_mixed_with_what_was_beside_the_old(
    path: Path, tmp_path: Path, open_log: Open
) -> None:
    """A process that has it open cleans up before anybody opens the new one; others do not clean up after it."""
    logs = [open_log() for _ in range(3)]
    for number in range(50):
        logs[number % 3].append("a", b"%d" % number)
    copy(path, tmp_path / "snapshot")
    for number in range(50, 1000):
        logs[number % 3].append("b", b"x" * 2000)
    os.replace(tmp_path / "snapshot", path)
    for log in logs:
        assert payloads(log, "a")[:50] == [b"%d" % number for number in range(50)]
        log.append("a", b"new")
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    for log in logs:
        assert [payload for payload in payloads(log) if payload == b"new"] == [b"new"] * 3
        assert payloads(log, "b") == []


# -- errors ------------------------------------------------------------------------------------------------------


def refused(log: SQLiteLog) -> str:
    """Return what is said by append, and the same by every other operation."""
    with pytest.raises(LogUnavailableError) as appended:
        log.append("a", b"1")
    for operation in (lambda: log.page("a", None), lambda: log.hold("job", "me", 1), lambda: log.holder("job")):
        with pytest.raises(LogUnavailableError) as caught:
            operation()
        assert caught.value.detail == appended.value.detail
    text = str(appended.value)
    assert text.startswith(f"{log!r} failed to append: ")
    return text


def test_missing_directory_is_said_until_it_is_there(tmp_path: Path, open_log: Open) -> None:
    """The path is in the text."""
    log = open_log(tmp_path / "none" / "log.db")
    assert f"there is no directory {tmp_path / 'none'}" in refused(log)
    (tmp_path / "none").mkdir()
    assert log.append("a", b"1").stored


def test_path_that_is_a_directory_is_said(tmp_path: Path, open_log: Open) -> None:
    """SQLite itself says only that it cannot open it."""
    assert "the path is a directory (SQLITE_CANTOPEN" in refused(open_log(tmp_path))


def test_path_below_a_file_is_said(tmp_path: Path, open_log: Open) -> None:
    """The operating system's own words."""
    (tmp_path / "file").touch()
    assert "Not a directory" in refused(open_log(tmp_path / "file" / "log.db"))


def test_file_that_is_no_database_is_said_and_left_alone(path: Path, open_log: Open) -> None:
    """Somebody's text."""
    text = b"no database, " * 1000
    path.write_bytes(text)
    assert "the file is no SQLite database (SQLITE_NOTADB" in refused(open_log())
    assert path.read_bytes() == text


def test_database_of_something_else_is_said_and_left_alone(path: Path, open_log: Open) -> None:
    """The application's own database is not the place."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE users (name TEXT)")
    before = path.read_bytes()
    assert "a database of something else; give the log a file of its own" in refused(open_log())
    assert path.read_bytes() == before


def test_newer_schema_is_said_and_left_alone(path: Path, open_log: Open) -> None:
    """An older streamkit beside a newer one, as in the middle of an update."""
    log = open_log()
    log.append("a", b"1")
    log.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    assert "the file has schema version 2, and this streamkit knows version 1" in refused(open_log())


def test_damaged_file_is_said(path: Path, open_log: Open) -> None:
    """With what to do about it; and when that is done it goes on."""
    log = open_log()
    for number in range(100):
        log.append("a", b"%d" % number)
    log.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(LogUnavailableError, match=r"the file is damaged; restore it, or delete it .*SQLITE_CORRUPT"):
        log.append("a", b"1")
    for each in path.parent.glob("log.db*"):
        each.unlink()
    assert log.append("a", b"1").stored


def test_path_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """By a user who may read the file, and by one who may not even do that."""
    out, err = python(
        """
        import os, sqlite3, sys, tempfile
        from pathlib import Path
        from streamkit.channels import SQLiteLog
        from streamkit.errors import LogUnavailableError
        directory = Path(tempfile.mkdtemp())  # pytest's own are closed to others
        SQLiteLog(directory / "log.db").append("a", b"1")
        def attempt(mode):
            os.chmod(directory / "log.db", mode)
            os.chmod(directory, 0o555)
            if os.geteuid() == 0:
                os.chmod(directory.parent, os.stat(directory.parent).st_mode | 0o001)
                os.seteuid(65534)
            try:
                SQLiteLog(directory / "log.db").append("a", b"1")
            except LogUnavailableError as error:
                print(str(error).partition(" failed to append: ")[2].partition(str(directory))[0])
            if os.getuid() == 0:
                os.seteuid(0)
        attempt(0o444)
        attempt(0o000)
        os.chmod(directory, 0o755)
        """,
        prelude="",
    )
    assert out == "this process may not write in the directory \n" * 2
    assert err == ""


def test_locked_file_is_waited_for(path: Path, open_log: Open) -> None:
    """At most for the timeout, and then it is said; with what comes after it all is well."""
    log, patient = open_log(timeout=0.05), open_log(timeout=20)
    log.append("a", b"1")
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            LogUnavailableError, match=r"another process has kept the file locked for 0\.05 s \(SQLITE_"
        ):
            log.append("a", b"lost")
        assert payloads(log) == [b"1"]  # who only reads does not wait
        waiting = threading.Thread(target=lambda: patient.append("a", b"2"))
        waiting.start()
        connection.execute("COMMIT")
        waiting.join(20)
    log.append("a", b"3")
    assert payloads(log) == [b"1", b"2", b"3"]


def test_full_disk_is_said_and_nothing_is_half_done(open_log: Open) -> None:
    """SQLite's own limit stands for the disk's; when there is room again it goes on."""
    log = open_log()
    told = Told()
    log.watch("a", told)
    told.wait_none()
    log.append("a", b"1")
    with log._using("limit") as connection:
        connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(LogUnavailableError, match=r"the disk is full \(SQLITE_FULL"):
        log.append("a", b"x" * 100_000)
    assert payloads(log) == told.payloads == [b"1"]
    log.append("a", b"2")
    assert payloads(log) == told.payloads == [b"1", b"2"]


# -- looking -----------------------------------------------------------------------------------------------------


def test_own_entries_are_told_at_once_and_not_again(open_log: Open, clock: FakeClock) -> None:
    """The look that comes later finds them, among those of others, and leaves them out."""
    log, other = open_log(clock=clock), open_log()
    told = Told()
    log.watch("a", told)
    told.wait_none()
    log.append("a", b"1")
    assert told.calls == [None, [b"1"]]
    other.append("a", b"2")
    log.append("a", b"3")
    assert told.calls == [None, [b"1"], [b"3"]]
    for _ in range(3):
        look(clock)
    assert told.calls == [None, [b"1"], [b"3"], [b"2"]]


@pytest.mark.parametrize(("count", "size"), [(MOST_ROWS, 10), (5, MOST_BYTES // 4)])
def test_look_that_finds_too_much_has_the_watchers_read(
    open_log: Open, clock: FakeClock, count: int, size: int
) -> None:
    """Bounded in number and in bytes; the next look is as ever."""
    log, other = open_log(clock=clock), open_log()
    told = Told()
    log.watch("a", told)
    told.wait_none()
    for _ in range(count):
        other.append("b", b"x" * size)
    look(clock)
    assert told.calls == [None, None]
    other.append("a", b"1")
    look(clock)
    assert told.calls == [None, None, [b"1"]]


def test_nothing_looks_where_nobody_watches(open_log: Open) -> None:
    """The thread begins with the first watcher and ends with the last."""

    def pollers() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "streamkit-log-poller"]

    log = open_log()
    log.append("a", b"1")
    assert pollers() == []
    for _ in range(2):
        told = [Told() for _ in range(50)]
        for number, ear in enumerate(told):
            log.watch(f"a{number % 7}", ear)
        for ear in told:
            ear.wait_none()
        (poller,) = pollers()
        for number, ear in enumerate(told):
            log.unwatch(f"a{number % 7}", ear)
        poller.join(5)
        assert pollers() == []


def test_poller_survives_a_file_that_is_gone_for_a_while(
    tmp_path: Path, open_log: Open, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning when it begins and one when it ends; who watches is told to look, then what comes."""
    directory = tmp_path / "volume"
    directory.mkdir()
    log, other = open_log(directory / "log.db", clock), open_log(directory / "log.db")
    told, late = Told(), Told()
    log.watch("a", told)
    told.wait_none()
    other.append("a", b"1")
    look(clock)
    assert told.calls == [None, [b"1"]]
    directory.rename(tmp_path / "unmounted")
    look(clock)
    look(clock, RETRY)
    log.watch("a", late)
    assert (told.calls, late.calls) == ([None, [b"1"]], [])
    (tmp_path / "unmounted").rename(directory)
    other.append("a", b"2")
    look(clock, RETRY)
    assert told.calls[2:] == late.calls == [None]
    other.append("a", b"3")
    look(clock)
    assert told.calls[3:] == late.calls[1:] == [[b"3"]]
    assert [record.getMessage().partition("; ")[2] for record in caplog.records[:1]] == ["trying again"]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "is back" in caplog.records[1].getMessage()
    assert str(directory) in caplog.text


def test_watcher_that_fails_harms_nobody(open_log: Open, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """The poller logs it and goes on."""
    log, other = open_log(clock=clock), open_log()
    told = Told()

    def fail(entries: object) -> None:
        raise RuntimeError("a fault")

    log.watch("a", told)
    told.wait_none()
    look(clock)
    log._watchers.here()["b"] = [fail]
    other.append("b", b"1")
    look(clock)
    assert "a fault" in caplog.text
    other.append("a", b"2")
    look(clock)
    assert told.payloads == [b"2"]


def test_channel_that_any_process_watches_is_not_forgotten(open_log: Open, clock: FakeClock) -> None:
    """The poller says so in the file, and so does who reads; what neither does is forgotten."""
    now = Time()
    log, other = open_log(clock=clock, now=now, max_age=60), open_log(now=now, max_age=60)
    told = Told()
    log.watch("watched", told)
    told.wait_none()
    positions = {name: log.append(name, b"1").position for name in ("watched", "read", "idle")}
    for _ in range(8):
        now.seconds += 20
        look(clock)
        other.append("busy", b"1")
        other.page("read", positions["read"])
    gaps = {name: other.page(name, position).gap for name, position in positions.items()}
    assert gaps == {"watched": None, "read": None, "idle": "reset"}
    with other._using("count") as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone()[0] <= 6


def test_snapshot_taken_by_copying_a_closed_file_opens(path: Path, tmp_path: Path, open_log: Open) -> None:
    """After close nothing is beside the file any more: it is all there is."""
    log = open_log()
    log.append("a", b"1")
    log.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log.db"]
    shutil.copy(path, tmp_path / "copy.db")
    assert payloads(open_log(tmp_path / "copy.db")) == [b"1"]


def test_poller_is_started_under_no_lock(open_log: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that begins may run the garbage collector, which closes a log that nobody holds any more."""
    closed: list[bool] = []
    start = Poller.start

    def start_beside_a_close(poller: Poller) -> None:
        with closing(SQLiteLog(tmp_path / "other.db")) as other:
            other.page("a", None)
            thread = threading.Thread(target=other.close, daemon=True)
            thread.start()
            thread.join(10)
            closed.append(not thread.is_alive())
        start(poller)

    monkeypatch.setattr(Poller, "start", start_beside_a_close)
    open_log().watch("a", Told())
    assert closed == [True]


def test_poller_outlives_a_fault_of_ours(open_log: Open, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody in this process would hear of anything any more."""
    log, other, told = open_log(clock=clock), open_log(), Told()
    log.watch("a", told)
    told.wait_none()
    poller = log._here.here().poller
    assert poller is not None
    tend, poller._tend = poller._tend, lambda _: 1 // 0
    look(clock)
    assert "A watcher of an SQLiteLog failed" in caplog.text
    poller._tend = tend
    other.append("a", b"1")
    look(clock)
    assert told.calls == [None, [b"1"]]
