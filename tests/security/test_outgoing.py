"""What streamkit asks of other servers: where its secrets go, and what a hostile server can do with the answer."""

from __future__ import annotations

import ast
import gzip
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import streamkit
from streamkit import EventTooLargeError
from streamkit.client import NotAStreamError, Reconnection, connect_sync
from streamkit.doctor._fetch import Target, client_of
from streamkit.doctor._observation import Variant
from streamkit.llm import UpstreamError, relay
from streamkit.starlette import EventStreamResponse, primed
from streamkit.testing import open_stream
from tests.client.reading import Kind, read
from tests.client.scripted import Answer, ScriptedServer
from tests.engine.drive import run

both = pytest.mark.parametrize("kind", ["async", "sync"])
PACKAGE = Path(streamkit.__file__).parent


def elsewhere(url: str, status: int = 307) -> Answer:
    """Send who asks to another origin."""
    return Answer(status=status, kind="text/plain", fields=(("Location", url),))


@both
@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"Authorization": "Bearer secret"}},
        {"headers": {"Cookie": "session=secret"}},
        {"auth": ("ann", "secret")},
    ],
    ids=["header", "cookie", "basic"],
)
def test_redirect_to_another_origin_takes_no_credentials_along(kind: Kind, options: dict[str, Any]) -> None:
    """As in a browser; within the origin they stay."""
    with ScriptedServer(Answer(b"data: 1\n\n")) as evil, ScriptedServer(elsewhere("/here")) as server:
        server._script.append(elsewhere(evil.url))
        assert read(kind, server.url, **options).data == ["1"]
    name = "cookie" if "Cookie" in options.get("headers", ()) else "authorization"
    assert [name in asked.headers for asked in server.asked][:2] == [True, name == "authorization"]
    assert [name in asked.headers or "secret" in repr(asked) for asked in evil.asked] == [False]


def test_password_in_a_url_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The line about a reconnection names the server, not who asks."""
    at_once = Reconnection(retry=0, jitter=0, backoff=0)
    with ScriptedServer(Answer(b"data: 1\n\n"), Answer(status=403)) as server:
        url = server.url.replace("http://", "http://ann:hunter2@")
        with caplog.at_level(logging.INFO, "streamkit"), pytest.raises(NotAStreamError) as caught:
            list(connect_sync(url, reconnection=at_once))
    assert [asked.headers["authorization"] for asked in server.asked] == ["Basic YW5uOmh1bnRlcjI="] * 2
    lines = [record.getMessage() for record in caplog.records if record.name == "streamkit"]
    assert "connecting again" in lines[0]
    assert "hunter2" not in "".join([*lines, str(caught.value), repr(caught.value), caught.value.url])


@both
def test_server_that_sends_a_bomb_is_left_at_the_limit(kind: Kind) -> None:
    """What inflates to more than one event may have ends the reading, however small it was on its way."""
    bomb = gzip.compress(b"data: " + b"0" * 2**23)
    assert len(bomb) < 10_000
    answer = Answer(bomb, "hold", fields=(("Content-Encoding", "gzip"),))
    with ScriptedServer(answer) as server:
        assert isinstance(read(kind, server.url).error, EventTooLargeError)
        assert server.left.wait(10)


@both
def test_relay_follows_no_redirect_and_passes_on_no_header(kind: Kind) -> None:
    """A redirect would take the key to whoever upstream names; a cookie of theirs would be set in your name."""

    async def view(request: Request) -> Response:
        client: Any = httpx.AsyncClient() if kind == "async" else httpx.Client()
        upstream = client.stream("POST", request.query_params["of"], headers={"Authorization": "Bearer secret"})
        try:
            return EventStreamResponse(await primed(relay(upstream), timeout=30))
        except UpstreamError as error:
            status, media_type, content = error.answer
            return Response(content, status, error.headers, media_type)

    app = Starlette(routes=[Route("/", view)])
    fields = ("Set-Cookie", "admin=1"), ("X-Internal", "yes"), ("Refresh", "0"), ("Retry-After", "7")
    with ScriptedServer() as evil, ScriptedServer(Answer(b"data: 1\n\n", fields=fields), elsewhere(evil.url)) as server:
        with open_stream(app, "GET", f"/?of={server.url}", timeout=20) as events:
            assert [event.data for event in events] == ["1"]
            assert not {name.lower() for name, _ in fields} & {name.lower() for name, _ in events.headers.items()}
        with open_stream(app, "GET", f"/?of={server.url}", timeout=20) as answer:
            assert (answer.status_code, answer.read()) == (502, b"upstream answered 307")
            assert "Location" not in answer.headers
    assert (len(server.asked), evil.asked) == (2, [])


def test_doctor_follows_no_redirect_with_its_token() -> None:
    """It says where it was sent, and does not go there."""

    async def look(url: str) -> Any:
        async with client_of(Target(url, token="secret")) as client:
            return await client.observe(Variant("bare"), url, accept="identity", until=float("inf"))

    with ScriptedServer() as evil, ScriptedServer(elsewhere(evil.url)) as server:
        seen = run(look(server.url))
    assert (seen.status, server.asked[0].headers["authorization"]) == (307, "Bearer secret")
    assert evil.asked == []


def imports(path: Path) -> set[str]:
    """Return the names of the modules that a file imports, and those they are in."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found |= {".".join(name.split(".")[:depth]) for name in names for depth in (1, 2, 3, 4)}
    return found


def test_probe_can_be_made_to_ask_nobody() -> None:
    """There is no address in its query, and nothing in it that would open one."""
    asks = {"http.client", "urllib.request", "socket", "ssl", "httpx", "subprocess", "ftplib", "smtplib"}
    files = [PACKAGE / "doctor" / name for name in ("probe_app.py", "_contract.py", "__init__.py")]
    assert [path.name for path in files if imports(path) & asks] == []


def test_nothing_that_was_stored_or_sent_is_ever_run() -> None:
    """No file of the package reads a format that can make objects or run code."""
    runs = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "code", "codeop", "runpy", "ctypes", "xml"}
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 100
    assert {path.name: found for path in files if (found := imports(path) & runs)} == {}
    for path in files:
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not calls & {"eval", "exec", "compile", "__import__"}, path
