"""The probe apps, called in process: who may ask, how much, what is sent, and that a host's other paths are its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from streamkit import EventDecoder, NDJSONDecoder
from streamkit.doctor.probe_app import ASGIProbe, WSGIProbe
from streamkit.errors import StreamCutError
from tests.rig.asgi import ASGIHost
from tests.rig.requirements import needs

QUICK = "n=3&gap=0"


class Answer:
    """Status, headers by lower-case name and body."""

    def __init__(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.body = status, {name.lower(): value for name, value in headers}, body


def ask_wsgi(app: Any, query: str = "", *, method: str = "GET", path: str = "/__stream_probe", **fields: str) -> Answer:
    """Call a WSGI app, by the rules of PEP 3333."""
    environ: dict[str, Any] = {"QUERY_STRING": query, "REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": ""}
    setup_testing_defaults(environ)
    environ |= {f"HTTP_{name.upper()}": value for name, value in fields.items()}
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], object]:
        started.extend((int(status[:3]), headers))
        return started.append

    body = validator(app)(environ, start_response)
    try:
        data = b"".join(body)
    finally:
        body.close()  # type: ignore[attr-defined]
    status, fields_sent = started[:2]
    return Answer(status, fields_sent, data)


def ask_asgi(app: Any, query: str = "", *, method: str = "GET", path: str = "/__stream_probe", **fields: str) -> Answer:
    """Call an ASGI app, by the rules of its specification."""
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    with ASGIHost(app) as host:
        stream = host.open(f"{path}?{query}", method=method, headers=headers)
        head = stream.head()
        body = stream.read_to_end()
    return Answer(head.status, head.headers, body)


Ask = Callable[..., Answer]
BOTH = pytest.mark.parametrize(("probe", "ask"), [(WSGIProbe, ask_wsgi), (ASGIProbe, ask_asgi)], ids=["wsgi", "asgi"])


def frames(answer: Answer) -> list[dict[str, Any]]:
    """Return the frames of an answer."""
    return [json.loads(str(event.data)) for event in EventDecoder().feed(answer.body)]


@BOTH
def test_frames_carry_number_time_and_nonce(probe: Any, ask: Ask) -> None:
    """The first says how many there are, when the head left, and what arrived; times go up."""
    one, other = (frames(ask(probe(), QUICK, via="1.1 proxy", cookie="secret")) for _ in range(2))
    assert [frame["seq"] for frame in one] == [0, 1, 2]
    assert one[0]["of"] == 3
    assert one[0]["echo"]["via"] == "1.1 proxy"
    assert "secret" not in json.dumps(one)
    assert one[0]["nonce"] != other[0]["nonce"]
    assert one[0]["head"] <= one[0]["sent"] <= one[1]["sent"] <= one[2]["sent"] < other[0]["head"]


@BOTH
def test_padding_and_kind_are_as_asked(probe: Any, ask: Ask) -> None:
    """NDJSON carries the same, and padding that no compressor shrinks to nothing."""
    answer = ask(probe(), f"{QUICK}&kind=ndjson&size=1000")
    pads = [frame["pad"] for frame in NDJSONDecoder().feed(answer.body)]
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [len(pad) for pad in pads] == [1000] * 3
    assert len(set(pads)) == 3


@BOTH
def test_bare_request_gets_the_card(probe: Any, ask: Ask) -> None:
    """By it the doctor knows a probe; no cache may keep it."""
    answer = ask(probe())
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert json.loads(answer.body)["streamkit_probe"] == 1


@BOTH
@pytest.mark.parametrize("given", [{"authorization": "Bearer secret"}, {"query": "token=secret"}])
def test_token_lets_in(probe: Any, ask: Ask, given: dict[str, str]) -> None:
    """In the header, or where no header can be set, in the query."""
    assert ask(probe(token="secret"), **given).status == 200


@BOTH
@pytest.mark.parametrize(
    "given", [{}, {"authorization": "Bearer x"}, {"query": "token="}, {"query": "token=\u00fc&n=3"}]
)
def test_without_its_token_nothing_is_answered(probe: Any, ask: Ask, given: dict[str, str]) -> None:
    """Neither card nor stream."""
    answer = ask(probe(token="secret"), **given)
    assert (answer.status, answer.body) == (403, b"the probe wants its token\n")


@BOTH
def test_head_gets_headers_alone(probe: Any, ask: Ask) -> None:
    """The stream is not begun, and its place is free again."""
    app = probe(max_streams=1)
    for _ in range(2):
        answer = ask(app, QUICK, method="HEAD")
        assert (answer.status, answer.headers["content-type"], answer.body) == (200, "text/event-stream", b"")


@BOTH
def test_other_methods_are_refused(probe: Any, ask: Ask) -> None:
    """The answer says which are not."""
    answer = ask(probe(), QUICK, method="POST")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@BOTH
def test_bad_query_is_told(probe: Any, ask: Ask) -> None:
    """What is not allowed is named."""
    answer = ask(probe(), "n=1000")
    assert (answer.status, answer.body) == (400, b"n must be from 1 to 500; got 1000\n")


@BOTH
def test_places_are_given_back(probe: Any, ask: Ask) -> None:
    """As many answers as are allowed at once may follow each other."""
    app = probe(max_streams=1)
    assert [ask(app, QUICK).status for _ in range(3)] == [200, 200, 200]


def test_streams_over_the_limit_are_refused_under_wsgi() -> None:
    """While one is open there is no place; a body that is never iterated gives its place back when it is closed."""
    app = WSGIProbe(max_streams=1)
    environ: dict[str, Any] = {"QUERY_STRING": QUICK, "SCRIPT_NAME": ""}
    setup_testing_defaults(environ)
    held = app(environ, lambda *_: lambda _: None)
    assert ask_wsgi(app, QUICK).status == 503
    for _ in range(2):
        held.close()  # type: ignore[attr-defined]
    assert ask_wsgi(app, QUICK).status == 200


def test_streams_over_the_limit_are_refused_under_asgi_until_a_client_leaves() -> None:
    """A client that leaves ends its answer in the pause before the next frame."""
    app: Any = ASGIProbe(max_streams=1)
    with ASGIHost(app, raise_after_leave=True) as host:
        held = host.open("/?n=2&gap=0&first=5000")
        held.head()
        refused = host.open(f"/?{QUICK}")
        assert refused.head().status == 503
        held.leave()
        assert held.done.wait(3)
        assert held.error is None  # nothing was sent to who has left
        again = host.open(f"/?{QUICK}")
        assert again.head().status == 200
        assert again.read_to_end()


def test_cut_fails_in_the_hands_of_the_server() -> None:
    """The body breaks off, and what the server gets is what it takes for a client that has left."""
    with pytest.raises(StreamCutError):
        ask_wsgi(WSGIProbe(), "n=3&gap=0&cut=1")
    app: Any = ASGIProbe()
    with ASGIHost(app) as host:
        stream = host.open("/?n=3&gap=0&cut=1")
        stream.read_to_end()
        assert stream.ending == "truncated"
        assert isinstance(stream.error, StreamCutError)


@pytest.mark.parametrize("probe", [ASGIProbe, WSGIProbe])
def test_completion_offers_nothing_on_a_probe(probe: type) -> None:
    """It is called by the server, and has nothing to be called by anybody else."""
    assert [name for name in dir(probe) if not name.startswith("_")] == []


@BOTH
def test_other_paths_are_the_hosts(probe: Any, ask: Ask) -> None:
    """Around an app the probe answers at its own path alone."""
    app = probe(probe(token="inner", path="/x"), path="/probe/")
    assert ask(app, path="/probe").status == 200
    assert ask(app, path="/probe/").status == 200
    assert ask(app, path="/x").status == 403


def test_lifespan_is_answered() -> None:
    """A server that asks an app to start gets its yes, and nothing else."""

    async def run() -> list[str]:
        asked = iter(["lifespan.startup", "lifespan.shutdown"])
        sent: list[str] = []

        async def receive() -> dict[str, str]:
            return {"type": next(asked)}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await ASGIProbe()({"type": "lifespan"}, receive, send)
        return sent

    assert asyncio.run(run()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_websocket_is_refused_by_name() -> None:
    """The error says what it was."""

    async def run() -> None:
        await ASGIProbe()({"type": "websocket", "path": "/"}, None, None)  # type: ignore[arg-type]

    with pytest.raises(RuntimeError, match="websocket"):
        asyncio.run(run())


@pytest.mark.parametrize("probe", [WSGIProbe, ASGIProbe])
@pytest.mark.parametrize(
    ("options", "says"),
    [({"path": "probe"}, "path must begin"), ({"token": ""}, "token must not"), ({"max_streams": 0}, "max_streams")],
)
def test_options_are_checked_when_it_is_built(probe: Any, options: dict[str, Any], says: str) -> None:
    """A mistake fails at start, not at the first request."""
    with pytest.raises(ValueError, match=says):
        probe(**options)


class TestMounted:
    """The lines of the docstring, in each framework."""

    @needs("flask")
    def test_around_flask(self) -> None:
        """The app's own routes are as before."""
        from flask import Flask

        app = Flask("host")
        app.add_url_rule("/", "own", lambda: "own")
        app.wsgi_app = WSGIProbe(app.wsgi_app, token="t")  # type: ignore[method-assign]
        client = app.test_client()
        assert client.get("/").text == "own"
        assert client.get("/__stream_probe?n=2&gap=0&token=t").text.count("data:") == 2

    @needs("django")
    def test_around_django(self) -> None:
        """Under both of its handlers."""
        from django.core.asgi import get_asgi_application
        from django.core.wsgi import get_wsgi_application

        for answer in (
            ask_wsgi(WSGIProbe(get_wsgi_application(), token="t"), f"{QUICK}&token=t"),
            ask_asgi(ASGIProbe(get_asgi_application(), token="t"), f"{QUICK}&token=t"),
        ):
            assert len(frames(answer)) == 3

    @needs("fastapi")
    def test_in_fastapi(self) -> None:
        """As middleware, and mounted at a path."""
        from fastapi import FastAPI

        around, mounted = FastAPI(), FastAPI()
        around.add_middleware(ASGIProbe, token="t")
        mounted.mount("/__stream_probe", ASGIProbe(token="t"))
        assert len(frames(ask_asgi(around, f"{QUICK}&token=t"))) == 3
        assert len(frames(ask_asgi(mounted, f"{QUICK}&token=t", path="/__stream_probe/"))) == 3
        assert ask_asgi(around, path="/none").status == 404


def test_probe_needs_no_package() -> None:
    """A server that mounts it loads neither click, rich nor httpx."""
    code = "import sys, streamkit.doctor.probe_app; print({'click', 'rich', 'httpx', 'h2'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("missing", ["click", "rich", "httpx"])
def test_missing_extra_is_named(missing: str) -> None:
    """An ImportError says what to install; the command says it in one line, with exit code 2."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "try:\n    import streamkit.doctor._cli\nexcept ImportError as exc:\n    print(exc)\n"
        "from streamkit.doctor.command import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert 'pip install "streamkit-http[cli]"' in done.stdout
    assert done.stderr.count("\n") == 1
    assert 'pip install "streamkit-http[cli]"' in done.stderr
    assert done.returncode == 2
