"""Use the wheel as it is installed: `bare` with nothing but the standard library, `cli` with that extra.

Run by .ci/wheel from outside the tree, with warnings as errors.
Usage: python -I -W error smoke.py bare|cli
"""

import asyncio
import importlib
import pkgutil
import subprocess
import sys
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from http.client import HTTPConnection
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import streamkit
from streamkit import Event, asgi, wsgi

# The public modules that need a package, and what their ImportError names; all others need Python alone.
NEEDS = {
    "streamkit.channels.redis": "redis",
    "streamkit.client": "httpx",
    "streamkit.django": "django",
    "streamkit.fastapi": "fastapi",
    "streamkit.flask": "flask",
    "streamkit.rest_framework": "djangorestframework",
    "streamkit.starlette": "starlette",
}
BODY = b"data: one\n\ndata: by one\n\nevent: done\ndata: \n\n"


def words() -> Iterator[str]:
    """Yield two items."""
    yield "one"
    yield "by one"


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served() -> Iterator[int]:
    """Serve a WSGI stream by the standard library's server; yield its port."""

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        return wsgi.EventStreamResponse(words(), end=Event("", event="done"))(environ, start_response)

    with make_server("127.0.0.1", 0, app, handler_class=_Silent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def check_wsgi() -> None:
    """Read a stream over a socket."""
    with served() as port:
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.getheader("content-type") or "").startswith("text/event-stream"), answer.getheaders()
        body = answer.read().removeprefix(b":\n")
        connection.close()
    assert body == BODY, body


def check_asgi() -> None:
    """Call a response as a server does."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def main() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "asgi": {"version": "3.0"}}
        await asgi.EventStreamResponse(words(), end=Event("", event="done"))(scope, receive, send)

    asyncio.run(asyncio.wait_for(main(), 20))
    assert sent[0]["status"] == 200, sent
    body = b"".join(message.get("body", b"") for message in sent[1:]).removeprefix(b":\n")
    assert body == BODY, body


def check_modules() -> None:
    """Import every public module: it works, or its error names what it needs."""
    asked = {}
    for module in pkgutil.walk_packages(streamkit.__path__, "streamkit.", onerror=lambda _: None):
        if "._" not in module.name:
            try:
                importlib.import_module(module.name)
            except ImportError as exc:
                asked[module.name] = str(exc)
    assert asked.keys() == NEEDS.keys(), asked.keys() ^ NEEDS.keys()
    for name, need in NEEDS.items():
        assert need in asked[name], (name, asked[name])


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command `streamkit` of this environment."""
    path = Path(sys.executable).parent / "streamkit"
    return subprocess.run([path, *arguments], capture_output=True, text=True, timeout=60, check=False)


def check_bare() -> None:
    """What the library alone promises."""
    distribution = metadata.distribution("streamkit-http")
    assert not [line for line in distribution.requires or () if "extra ==" not in line], distribution.requires
    assert (files("streamkit") / "py.typed").is_file()
    check_modules()
    check_wsgi()
    check_asgi()
    done = command("--help")
    assert done.returncode == 2, done
    assert "streamkit-http[cli]" in done.stderr, done


def check_cli() -> None:
    """The command reads a stream of the library."""
    done = command("--help")
    assert done.returncode == 0, done
    with served() as port:
        done = command("tail", "--until", "done", f"http://127.0.0.1:{port}/")
    assert "by one" in done.stdout, done


if __name__ == "__main__":
    assert "site-packages" in str(streamkit.__file__), streamkit.__file__
    {"bare": check_bare, "cli": check_cli}[sys.argv[1]]()
    print(f"smoke: {sys.argv[1]} passed on Python {sys.version.split()[0]}")
