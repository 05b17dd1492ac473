"""Import an example into this process and drive it in process.

The three folders have files of the same names, so they are imported one folder at a time and forgotten afterwards.
Django's settings belong to the process and may be those of another test, so the example's are laid over them.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from streamkit.testing import open_stream
from tests.examples.running import copied

FILES = ("answers", "prompt", "job", "export", "completions", "relay", "detached", "assistant", "notifications", "app")
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Reply:
    """A whole response."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str]


class Host:
    """An imported example, and its app or a client of it.

    `modules` are its files by their names.
    """

    def __init__(self, modules: dict[str, ModuleType], client: Any) -> None:
        self.modules = modules
        self._client = client

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Send a GET request and read the response to its end."""
        return self.ask("GET", target, headers=headers)

    def post(self, target: str, body: bytes) -> Reply:
        """POST a JSON text and read the response to its end."""
        return self.ask("POST", target, content=body, headers=JSON)

    def put(self, target: str, body: bytes) -> Reply:
        """PUT a JSON text and read the response to its end."""
        return self.ask("PUT", target, content=body, headers=JSON)

    def delete(self, target: str) -> Reply:
        """Send a DELETE request and read the response to its end."""
        return self.ask("DELETE", target)

    def ask(self, method: str, target: str, **request: Any) -> Reply:
        """Send any request and read the response to its end."""
        with open_stream(self._client, method, target, timeout=30, **request) as response:
            content_type = response.headers.get("Content-Type", "")
            return Reply(response.status_code, content_type, response.read(), response.headers)


@contextlib.contextmanager
def imported(name: str, where: Path) -> Iterator[Host]:
    """Import a copy of the example in the folder `name`, made in the directory `where`, and forget it afterwards."""
    with mock.patch.object(sys, "path", [str(copied(name, where)), *sys.path]):
        try:
            with {"flask": _flask, "django": _django, "fastapi": _fastapi}[name]() as host:
                yield host
        finally:
            for file in FILES:
                sys.modules.pop(file, None)


def _modules() -> dict[str, ModuleType]:
    return {file: importlib.import_module(file) for file in FILES}


@contextlib.contextmanager
def _flask() -> Iterator[Host]:
    modules = _modules()
    yield Host(modules, modules["app"].app)


@contextlib.contextmanager
def _fastapi() -> Iterator[Host]:
    from fastapi.testclient import TestClient

    modules = _modules()
    with TestClient(modules["app"].app) as client:
        yield Host(modules, client)


@contextlib.contextmanager
def _django() -> Iterator[Host]:
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings

    with mock.patch.object(type(settings), "configure") as configure:
        modules = _modules()
    with override_settings(ALLOWED_HOSTS=["*"], **configure.call_args.kwargs):
        yield Host(modules, WSGIHandler())
