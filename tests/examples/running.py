"""Run an example as its README says, in a process of its own, and end it as a crash would.

An example listens on 127.0.0.1 at a port that the test chooses, so that it can be started again at the same address.
What it prints and logs is kept over restarts; the server's own log of requests is how a test knows what it has seen.
It runs in a copy of its folder, as with a reader who has copied it, so that what it stores is no other test's.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.rig.servers import ROOT, ServerFailed, free_port

FOLDERS = {name: ROOT / "examples" / name for name in ("flask", "django", "fastapi")}

# What a reader starts is free of deprecations, in the newest framework and server.
STRICT = {"PYTHONWARNINGS": "error::DeprecationWarning,error::PendingDeprecationWarning"}

# Sets constants of the feature files, then runs the example as a script.
_WITH_CONSTANTS = """
import importlib, json, runpy, sys
for name, value in json.loads(sys.argv.pop()).items():
    module, _, constant = name.partition(".")
    setattr(importlib.import_module(module), constant, value)
sys.argv[0] = "app.py"
runpy.run_path("app.py", run_name="__main__")
"""


def copied(name: str, where: Path) -> Path:
    """Copy the folder of an example into a directory, without what it has stored; return the copy."""
    stored = shutil.ignore_patterns("*.db", "*.db-*", "__pycache__", "node_modules", "assistant.js")
    return shutil.copytree(FOLDERS[name], where / name, ignore=stored)


class Example:
    """One example, started and ended by the test; a context manager that ends it.

    Args:
        name: its folder below `examples/`.
        log: a file to which stdout and stderr are appended; the copy of the folder is made beside it.
        constants: values for constants of the feature files, by names such as "relay.UPSTREAM".
        server: the command after `python` that serves the example in another way, with {port} to fill in.
    """

    def __init__(
        self, name: str, log: Path, *, constants: Mapping[str, object] | None = None, server: str = "app.py {port}"
    ) -> None:
        self.folder = copied(name, log.parent)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        self._command = server.format(port=self.port).split()
        if constants:
            self._command = ["-c", _WITH_CONSTANTS, str(self.port), json.dumps(constants)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, within: float = 20.0) -> None:
        """Start the example, at the same port each time, and wait until it accepts."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._command],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **STRICT},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + within
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise ServerFailed(f"{self.folder.name} is not up:\n{self.log()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End the process at once, as a crash does: no stream is told of it."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(5.0)
            self._process = None

    def terminate(self, within: float = 20.0) -> None:
        """Tell the process to leave, and wait until it has."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(within)
        self._process = None

    def log(self) -> str:
        """Return what was printed and logged since the first start."""
        return self._log.read_text(errors="replace")

    def requests(self, target: str) -> int:
        """Return how many GET requests that begin with `target` are in the server's log."""
        return self.log().count(f'"GET {target}')

    def _accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1.0).close()
        except OSError:
            return False
        return True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def answer_to(question: str) -> str:
    """Return the whole answer that every example has for a question."""
    specification = importlib.util.spec_from_file_location("answers_of_flask", FOLDERS["flask"] / "answers.py")
    assert specification is not None
    assert specification.loader is not None
    answers = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(answers)
    return "".join(answers.words(question))
