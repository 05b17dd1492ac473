"""Run a server that is no Python application: a proxy with a configuration, in a folder of its own.

It runs in a process group of its own, with what it logs in a file; starting and ending are bounded, and the whole group
is ended by its id.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.rig.servers import ServerFailed


class Process:
    """A running program that listens on 127.0.0.1; a context manager that ends it.

    Args:
        command: the program and its arguments, with {home} for the folder, which is also where it runs.
        files: what stands in the folder before it starts: name -> text, in which {home} is filled in too.
        port: on which it must listen before it counts as started.
        environment: more variables of it, with {home} filled in.
        stop_by: the signal that ends it, where SIGTERM would have it wait for clients.
        ready: asked, once it listens, until it says that the program is up.
        start_within: seconds from start until it must be up.
    """

    def __init__(
        self,
        command: Sequence[str],
        files: Mapping[str, str],
        port: int,
        *,
        environment: Mapping[str, str] | None = None,
        stop_by: signal.Signals = signal.SIGTERM,
        ready: Callable[[], bool] = lambda: True,
        start_within: float = 20.0,
    ) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._command = command
        self._stop_by = stop_by
        self._ready = ready
        self._home = Path(tempfile.mkdtemp(prefix="proxy-"))
        if os.geteuid() == 0:
            self._home.chmod(0o777)  # a server that is started as root gives root up, and must still get in and write
        self._log = self._home / "log"
        for name, text in files.items():
            (self._home / name).write_text(text.replace("{home}", str(self._home)))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [part.replace("{home}", str(self._home)) for part in command],
                cwd=self._home,
                env={**os.environ, **self._filled(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_until_up(start_within)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The process that was started; its workers may be children of it."""
        return self._process.pid

    def log(self) -> str:
        """Return what the program has written to stdout and stderr."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def terminate(self) -> None:
        """Send SIGTERM to the process that was started, and to it alone, as what stops a server does."""
        self._process.terminate()

    def wait(self, within: float) -> int:
        """Wait until that process has ended; return its exit code, or the signal that ended it as a negative number."""
        return self._process.wait(within)

    def stop(self, within: float = 3.0) -> None:
        """End the process group by its signal, and what is left by SIGKILL after `within` seconds."""
        self._signal(self._stop_by)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(within)
        self._signal(signal.SIGKILL)
        self._process.wait(5.0)
        shutil.rmtree(self._home, ignore_errors=True)

    def _filled(self, variables: Mapping[str, str]) -> dict[str, str]:
        return {name: value.replace("{home}", str(self._home)) for name, value in variables.items()}

    def _signal(self, number: int) -> None:
        # The group outlives its leader as long as a worker lives, so this reaches orphans too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _wait_until_up(self, within: float) -> None:
        until = time.monotonic() + within
        while not (self._listens() and self._ready()):
            if self._process.poll() is not None:
                raise ServerFailed(f"{self._command[0]} ended at once ({self._process.returncode}):\n{self.log()}")
            if time.monotonic() > until:
                raise ServerFailed(f"{self._command[0]} is not up after {within} s:\n{self.log()}")
            time.sleep(0.05)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1.0).close()
        except OSError:
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
