"""Interpreters of their own, for what one process cannot show."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]


PRELUDE = """
import asyncio, gc, os, sys, threading, time
from streamkit import Pipe, StreamPolicy
from streamkit.wsgi import EventStreamResponse

ENVIRON = {"REQUEST_METHOD": "GET", "wsgi.multithread": True}

def sync_items():
    for letter in "ab":
        yield letter

async def async_items():
    for letter in "ab":
        await asyncio.sleep(0.001)
        yield letter

def opened(content, **options):
    return EventStreamResponse(content, **options)(ENVIRON, lambda status, headers: None)

def read(content, **options):
    body = opened(content, **options)
    try:
        return b"".join(body)
    finally:
        body.close()

WHOLE = b"data: a\\n\\ndata: b\\n\\n"
"""

GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent
"""


def python(code: str, *options: str, prelude: str = PRELUDE) -> tuple[str, str]:
    """Run code in a new interpreter, where warnings are errors; return what it wrote. Fail when it fails or hangs."""
    program = prelude + textwrap.dedent(code)
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    # Where an import is looked at, measuring coverage would import more, and cost more; gevent it would not understand.
    if not prelude or "gevent" in program:
        environ = {name: value for name, value in environ.items() if not name.startswith("COVERAGE")}
    command = [sys.executable, *options, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environ, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr
