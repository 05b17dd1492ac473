"""Import an example into this process and drive it by the test client of its framework.

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

from tests.examples.running import copied

FILES = ("answers", "prompt", "job", "export", "completions", "relay", "detached", "assistant", "notifications", "app")


@dataclass(frozen=True)
class Reply:
    """A whole response."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str]


class Host:
    """An imported example behind one face for all test clients.

    `modules` are its files by their names.
    """

    def __init__(self, modules: dict[str, ModuleType], client: Any) -> None:
        self.modules = modules
        self._client = client

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Send a GET request and read the response to its end."""
        return self._reply(self._client.get(target, headers=dict(headers or {})))

    def post(self, target: str, body: bytes) -> Reply:
        """POST a JSON text and read the response to its end."""
        return self._reply(self._send("post", target, body))

    def put(self, target: str, body: bytes) -> Reply:
        """PUT a JSON text and read the response to its end."""
        return self._reply(self._send("put", target, body))

    def delete(self, target: str) -> Reply:
        """Send a DELETE request and read the response to its end."""
        return self._reply(self._client.delete(target))

    def _send(self, method: str, target: str, body: bytes) -> Any:
        return getattr(self._client, method)(target, data=body, headers={"Content-Type": "application/json"})

    def _reply(self, response: Any) -> Reply:
        with response:
            return Reply(
                response.status_code, response.headers.get("Content-Type", ""), response.get_data(), response.headers
            )


class _FastAPIHost(Host):
    def _send(self, method: str, target: str, body: bytes) -> Any:
        return getattr(self._client, method)(target, content=body, headers={"Content-Type": "application/json"})

    def _reply(self, response: Any) -> Reply:
        return Reply(response.status_code, response.headers.get("Content-Type", ""), response.content, response.headers)


class _DjangoHost(Host):
    def _send(self, method: str, target: str, body: bytes) -> Any:
        return getattr(self._client, method)(target, body, content_type="application/json")

    def _reply(self, response: Any) -> Reply:
        body = b"".join(response) if response.streaming else response.content
        response.close()
        return Reply(response.status_code, response.headers.get("Content-Type", ""), body, response.headers)


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
    with modules["app"].app.test_client() as client:
        yield Host(modules, client)


@contextlib.contextmanager
def _fastapi() -> Iterator[Host]:
    from fastapi.testclient import TestClient

    modules = _modules()
    with TestClient(modules["app"].app) as client:
        yield _FastAPIHost(modules, client)


@contextlib.contextmanager
def _django() -> Iterator[Host]:
    from django.conf import settings
    from django.test import Client, override_settings

    with mock.patch.object(type(settings), "configure") as configure:
        modules = _modules()
    with override_settings(ALLOWED_HOSTS=["*"], **configure.call_args.kwargs):
        yield _DjangoHost(modules, Client())
