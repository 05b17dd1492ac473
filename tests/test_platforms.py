"""docs/platforms.md: every module imports and streams run where an operating system lacks what Linux has."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tests.engine.interpreter import PRELUDE, python

ROOT = Path(__file__).parents[1]

# What the standard library took at its own import stays with it; a module of ours finds it gone, as on the system that
# never had it. The prelude of the other tests comes after, since it imports streamkit.
_WITHOUT = """
import asyncio, builtins, io, multiprocessing, os, select, selectors, signal, socket, sqlite3, ssl, subprocess, sys
import concurrent.futures, logging.handlers, tempfile, threading, zoneinfo
# Nor are the packages beside ours what is looked at.
import click, django.conf, django.core.handlers.asgi, django.http, fastapi, flask, gevent.lock, httpx, pytest, redis
import rich.live, starlette.applications
django.conf.settings.configure()

LACKING = {
    os: "fork forkpty register_at_fork eventfd memfd_create getuid geteuid getpgid killpg setsid WNOHANG uname sendfile"
        " sched_getaffinity getloadavg pipe2 posix_spawn mkfifo openpty statvfs fchmod chown O_DIRECTORY O_CLOEXEC",
    signal: "SIGQUIT SIGHUP SIGUSR1 SIGUSR2 SIGKILL SIGCHLD SIGALRM SIGPIPE setitimer alarm pthread_kill"
        " pthread_sigmask sigwait siginterrupt pause",
    socket: "SO_REUSEPORT MSG_DONTWAIT CMSG_LEN",
    select: "poll epoll kqueue devpoll",
}
for module, names in LACKING.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
for name in "fcntl grp pty pwd resource termios tty syslog posix".split():
    sys.modules[name] = None
real_open = io.open
def without_proc(file, *args, **kwargs):
    if str(file).startswith("/proc"):
        raise FileNotFoundError(file)
    return real_open(file, *args, **kwargs)
io.open = builtins.open = without_proc
"""

_STREAMS = """
import importlib, pkgutil, signal, tempfile
import streamkit
from streamkit.asgi import EventStreamResponse as AsyncResponse
from streamkit.channels import Channels, MemoryLog
from streamkit.channels.sqlite import SQLiteLog

def module_names():
    for module in pkgutil.walk_packages(streamkit.__path__, "streamkit."):
        yield module.name

for name in module_names():
    importlib.import_module(name)

assert read(sync_items()) == WHOLE
assert read(async_items()) == WHOLE

async def over_asgi(content):
    sent = []
    async def receive():
        await asyncio.Event().wait()
    async def send(message):
        sent.append(message)
    await AsyncResponse(content)({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)
    return b"".join(message.get("body", b"") for message in sent)

async def channel(log):
    channels = Channels(log)
    await channels.publish("news", "a")
    events = channels.subscribe("news", start="oldest")
    async for event in events:
        await events.aclose()
        channels.close()
        return event.data

signal.signal(signal.SIGTERM, lambda *_: None)
streamkit.drain_on_signals()
for items in (async_items(), sync_items()):
    assert asyncio.run(over_asgi(items)).removeprefix(b":\\n") == WHOLE
with tempfile.TemporaryDirectory() as folder:
    for log in (MemoryLog(), SQLiteLog(folder + "/log.db")):
        assert asyncio.run(channel(log)) == "a"
        log.close()
"""


def test_every_module_works_where_the_system_lacks_what_linux_has() -> None:
    """No fork, no fcntl, no /proc, no signals but those of Windows; WSGI, ASGI and the logs in one process stream."""
    python(_STREAMS, prelude=_WITHOUT + PRELUDE)


def test_classifiers_name_the_pythons_that_ran() -> None:
    """Those of .ci/compat and of the page, and no others."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    ran = re.findall(r"^\w+=\(\S+ (3\.\d+) ", (ROOT / ".ci" / "compat").read_text(encoding="utf-8"), re.MULTILINE)
    tested = (ROOT / "docs" / "platforms.md").read_text(encoding="utf-8").partition("Not tested")[0]
    assert set(named) == set(ran) == set(re.findall(r"3\.\d+", tested))
    assert project["requires-python"] == f">={named[0]}"
