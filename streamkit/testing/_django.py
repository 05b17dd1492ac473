"""Django's test clients: their requests, served by Django's own handlers through the middleware of the client.

A sync view runs in a thread that has the test's database connections, so what a TestCase has written inside its
transaction is there. Within one, a sync source runs in that thread too; else in one of its own, with keepalives, as
under a threaded server. Imported where such a client is given.
"""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from copy import copy
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections

from streamkit.testing._request import Head, Request


class _Caught(Exception):
    """Ends a client's request when its environ or scope is known."""


class _UnderWSGI(WSGIHandler):
    """Answers through a client's own handler, which may skip CSRF checks or force a user."""

    def __init__(self, inner: Any) -> None:
        if inner._middleware_chain is None:
            inner.load_middleware()
        self._inner = inner

    def get_response(self, request: Any) -> Any:
        request._dont_enforce_csrf_checks = not self._inner.enforce_csrf_checks
        return self._inner.get_response(request)


class _UnderASGI(ASGIHandler):
    """Does the same for an asynchronous client."""

    def __init__(self, inner: Any) -> None:
        if inner._middleware_chain is None:
            inner.load_middleware(is_async=True)
        self._inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with ExitStack() as self._files:
            await self.handle(scope, receive, send)  # not in a thread of the request's own: the ORM's is the test's

    async def read_body(self, receive: Any) -> Any:
        return self._files.enter_context(await super().read_body(receive))  # which Django leaves open after an error

    async def get_response_async(self, request: Any) -> Any:
        request._dont_enforce_csrf_checks = not self._inner.enforce_csrf_checks
        return await self._inner.get_response_async(request)


def ask(client: Any, method: str, url: str, options: dict[str, Any]) -> Any:
    """Return the request that a client would have sent, or what to await for it."""
    caught: list[dict[str, Any]] = []

    def catch(given: dict[str, Any]) -> Any:
        caught.append(given)
        raise _Caught

    twin, options = copy(client), dict(options)
    twin.handler = catch
    if (value := options.pop("json", None)) is not None:
        options |= {"data": jsonlib.dumps(value), "content_type": "application/json"}
    if hasattr(client, "_base_scope"):
        return _ask_async(client, getattr(twin, method.lower())(url, **options), caught)
    with suppress(_Caught):
        getattr(twin, method.lower())(url, **options)
    (environ,) = caught
    if "wsgi.multithread" not in {**client.defaults, **options}:
        environ["wsgi.multithread"] = not any(one.in_atomic_block for one in connections.all(initialized_only=True))
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return Request(
        _UnderWSGI(client.handler),
        environ=environ,
        body=body,
        around=shared_connections(),
        keep_cookies=_keeper(client),
    )


async def _ask_async(client: Any, sending: Any, caught: list[dict[str, Any]]) -> Request:
    with suppress(_Caught):
        await sending
    (scope,) = caught
    payload = scope.pop("_body_file", None)
    body = b"" if payload is None else payload.read(len(payload))
    query = scope.get("query_string", "")
    scope["query_string"] = query if isinstance(query, bytes) else query.encode()
    return Request(_UnderASGI(client.handler), scope=scope, body=body, keep_cookies=_keeper(client))


def _keeper(client: Any) -> Callable[[Head], None]:
    def keep_cookies(head: Head) -> None:
        for name, value in head.headers:
            if name.lower() == "set-cookie":
                client.cookies.load(value.strip())

    return keep_cookies


def shared_connections() -> Callable[[], AbstractContextManager[None]]:
    """Return what gives another thread the open database connections of this one, as a LiveServerTestCase does."""
    ours = {connection.alias: connection for connection in connections.all(initialized_only=True)}

    @contextmanager
    def shared() -> Iterator[None]:
        for alias, connection in ours.items():
            connection.inc_thread_sharing()
            connections[alias] = connection
        try:
            yield
        finally:
            for alias, connection in ours.items():
                del connections[alias]
                connection.dec_thread_sharing()

    return shared
