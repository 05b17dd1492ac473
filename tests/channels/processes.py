"""Processes that share a log in a file with the test that runs them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamkit.channels import Detached, SQLiteLog
from tests.channels.streams import read
from tests.engine.interpreter import ROOT, python

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


def wait_until_stored(path: Path, key: str, entries: int = 2) -> None:
    """Wait until a stream has so many entries, its first among them, which nobody sees; pytest's timeout bounds it."""
    log = SQLiteLog(path)
    while log.page(f"detached:{key}", None, 0).head.offset < entries:
        time.sleep(0.01)
    log.close()


def tell(running: subprocess.Popen[str]) -> None:
    """Have a process go on that waits for a line."""
    assert running.stdin is not None
    running.stdin.write("\n")
    running.stdin.flush()


def run(path: Path, code: str, prelude: str = "", *, forks: bool = False) -> str:
    """Run code in a process to its end; return what it said. One that forks may be warned of what SQLite forbids."""
    out, err = python(code, prelude=prelude + PRELUDE.replace("PATH", repr(str(path))))
    assert err == "" or (forks and "forked while its parent had the file open" in err and err.count("\n") == 1), err
    return out


def read_all(path: Path, key: str, **options: float) -> list[tuple[str | None, object]]:
    """Read a stream in this process."""
    log = SQLiteLog(path)
    try:
        return asyncio.run(asyncio.wait_for(read(Detached(log, **options), key), 20))  # type: ignore[arg-type]
    finally:
        log.close()
