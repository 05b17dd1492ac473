"""What a test client would have sent, and to which app: it is had send its request to a stand-in for the app.

So cookies, sessions, base URLs and authentication are the client's own doing, and no client's inside is copied here. A
client that works over a transport gets a copy of it with the stand-in for its app; httpx's own would collect a body
to its end, and an endless one for ever. No client's package is imported: what is not in use need not be installed.
"""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Coroutine
from copy import copy
from inspect import isawaitable, iscoroutinefunction, signature
from typing import Any
from urllib.parse import unquote, urlsplit

from streamkit.testing._request import Head, Request


class _StandIn:
    """An app that keeps the request it is given, and answers 204; everything else it has from the real one."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.request = Request(app)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ.pop("werkzeug.debug.preserve_context", None)  # the client would wait for contexts of another thread
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self.request.environ, self.request.body = environ, body
        start_response("204 No Content", [])
        return []

    __call__ = wsgi

    async def asgi(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.request.scope, self.request.body = scope, body
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def ask(client: Any, method: str, url: str, options: dict[str, Any]) -> Request:
    """Return the request that a client would have sent.

    Raises:
        TypeError: It is no client, or one that must be awaited.
    """
    asked = None if iscoroutinefunction(getattr(client, "request", None)) else _ask(client, method, url, options)
    if not isinstance(asked, Request):
        raise TypeError(f"{type(client).__name__} is asynchronous: write `async with open_stream(…)`")
    return asked


async def ask_async(client: Any, method: str, url: str, options: dict[str, Any]) -> Request:
    """Do what `ask` does, for any client."""
    asked = _ask(client, method, url, options)
    return asked if isinstance(asked, Request) else await asked


def _ask(client: Any, method: str, url: str, options: dict[str, Any]) -> Request | Coroutine[Any, Any, Request]:
    django = sys.modules.get("django.test.client")
    if django is not None and isinstance(client, django.ClientMixin):
        from streamkit.testing import _django

        asked: Request | Coroutine[Any, Any, Request] = _django.ask(client, method, url, options)
        return asked
    if hasattr(client, "_transport") and hasattr(client, "build_request"):
        return _ask_httpx(client, method, url, options)
    if hasattr(client, "run_wsgi_app"):
        return _ask_werkzeug(client, method, url, options)
    if callable(client) and not isinstance(client, type):
        return _ask_app(client, method, url, **options)
    raise TypeError(f"open_stream() takes a test client or an app, not {client!r:.200}")


def is_asgi(app: Any) -> bool:
    """Tell whether an app is one for ASGI."""
    if iscoroutinefunction(app) or iscoroutinefunction(getattr(app, "__call__", None)):  # noqa: B004 - not "callable"
        return True
    try:
        return len(signature(app).parameters) == 3
    except (TypeError, ValueError):
        return False


def _ask_werkzeug(client: Any, method: str, url: str, options: dict[str, Any]) -> Request:
    stand_in = _StandIn(client.application)
    twin = copy(client)
    twin.application = stand_in
    # Most servers have threads, and where they have none a sync source has no keepalive, and holds up who leaves.
    answer = twin.open(url, method=method, **{"multithread": True, **options})
    host, path = answer.request.host.partition(":")[0], answer.request.path

    def keep_cookies(head: Head) -> None:
        client._update_cookies_from_response(host, path, _set_cookies(head))

    stand_in.request.keep_cookies = keep_cookies
    return stand_in.request


def _ask_httpx(client: Any, method: str, url: str, options: dict[str, Any]) -> Request | Coroutine[Any, Any, Request]:
    transport = client._transport_for_url(client._merge_url(url))
    if not hasattr(transport, "app"):
        raise TypeError(f"{client!r:.200} talks to a server: open_stream() needs one whose transport has an app")
    stand_in, twin = _StandIn(transport.app), copy(client)
    twin._transport, twin._mounts = copy(transport), {}
    twin._transport.app = stand_in.asgi if is_asgi(transport.app) else stand_in.wsgi
    answer = twin.request(method, url, **options)
    if isawaitable(answer):
        return _answered_later(client, stand_in.request, answer)
    return _answered(client, stand_in.request, answer)


async def _answered_later(client: Any, request: Request, answer: Any) -> Request:
    return _answered(client, request, await answer)


def _answered(client: Any, request: Request, answer: Any) -> Request:
    if (portal := getattr(client, "portal", None)) is not None:  # a TestClient in `with`: the app has begun there
        import asyncio

        request.loop = portal.call(asyncio.get_running_loop)

    def keep_cookies(head: Head) -> None:
        client.cookies.extract_cookies(type(answer)(head.status, headers=head.headers, request=answer.request))

    request.keep_cookies = keep_cookies
    return request


def _set_cookies(head: Head) -> list[str]:
    return [value for name, value in head.headers if name.lower() == "set-cookie"]


def _ask_app(
    app: Any, method: str, url: str, *, headers: Any = None, json: Any = None, content: bytes = b""
) -> Request:
    target = urlsplit(url)
    fields = {
        "host": "testserver",
        "accept": "*/*",
        **{name.lower(): value for name, value in dict(headers or {}).items()},
    }
    if json is not None:
        content = jsonlib.dumps(json).encode()
        fields.setdefault("content-type", "application/json")
    if content or method in ("POST", "PUT", "PATCH"):
        fields.setdefault("content-length", str(len(content)))
    if is_asgi(app):
        return Request(app, scope=_scope(method, target, fields), body=content)
    return Request(app, environ=_environ(method, target, fields), body=content)


def _scope(method: str, target: Any, fields: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": target.scheme or "http",
        "path": unquote(target.path),
        "raw_path": target.path.encode(),
        "query_string": target.query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in fields.items()],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
    }


def _environ(method: str, target: Any, fields: dict[str, str]) -> dict[str, Any]:
    names = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(target.path).encode().decode("latin-1"),  # as PEP 3333 has text
        "QUERY_STRING": target.query,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": target.scheme or "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{names.get(name, f"HTTP_{name.upper().replace('-', '_')}"): value for name, value in fields.items()},
    }
