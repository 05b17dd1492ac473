"""Whatever stands at the address: one line, exit code 2, within the time-out, and never a traceback."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doctor.conftest import Diagnose
from tests.doctor.odd_server import OddServer, odd_server
from tests.doctor.run import run
from tests.rig.requirements import needs
from tests.rig.servers import free_port

pytestmark = [pytest.mark.servers, needs("click", "rich", "httpx")]


@pytest.fixture(scope="module")
def server() -> Iterator[OddServer]:
    """Serve what is odd."""
    with odd_server() as server:
        yield server


CASES = [
    ("missing", "broken: not-a-stream: there is nothing at this address (404)"),
    ("page", "broken: not-a-stream: the answer is an HTML page"),
    ("login", "broken: not-a-stream: the answer is a login page (--header 'Cookie: …')"),
    ("to-login", "broken: not-a-stream: the answer is a redirect (302) to /login?next=/stream: a login page"),
    ("to-slash", "broken: not-a-stream: the answer is a redirect (301) to /to-slash/: the slash at its end"),
    ("untyped", "broken: not-a-stream: the answer is text/plain but its body looks like events"),
    ("download", "broken: not-a-stream: the answer is application/octet-stream; EventSource takes"),
    ("drip", "broken: not-a-stream: the answer is application/octet-stream; EventSource takes"),
    ("noise", "unknown: error: the events cannot be read: "),
    ("huge", "unknown: error: the events cannot be read: event 1: larger than max_event_size"),
    ("garbage", "broken: error: the connection failed: "),
    ("nothing", "broken: error: the connection failed: "),
    ("unasked", "unknown: error: Content-Encoding: br, which was not asked for"),
    ("broken-gzip", "unknown: error: the body is not what its Content-Encoding says"),
    ("short", "unknown: error: the whole stream, 3 events, came"),
    ("escapes", "broken: not-a-stream: the answer is text/\N{REPLACEMENT CHARACTER}[31mred"),
]


@pytest.mark.parametrize(("path", "says"), CASES, ids=[path for path, _ in CASES])
def test_answer_that_is_no_stream_gets_one_line(server: OddServer, path: str, says: str) -> None:
    """The line names the verdict, the mechanism and what was seen."""
    ran = run("doctor", f"{server.url}/{path}", "--timeout", "20")
    assert (ran.code, ran.out.count("\n"), ran.err) == (2, 1, "")
    assert ran.out.startswith(says)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("silent", "broken: error: there was no answer within 10 s"),
        ("mute", r"unknown: error: 0 events came in ([3-9]|\d\d) s"),  # half of the time is for asking without gzip
    ],
)
def test_answer_that_does_not_come_is_waited_for_until_the_time_is_up(server: OddServer, path: str, says: str) -> None:
    """The time-out bounds it all, with and without gzip."""
    ran = run("doctor", f"{server.url}/{path}", "--timeout", "10")
    assert (ran.code, ran.out.count("\n"), ran.err) == (2, 1, "")
    assert re.match(says, ran.out)


@pytest.mark.parametrize("option", ["json", "html"])
def test_other_reports_say_the_same(server: OddServer, option: str, tmp_path: Path) -> None:
    """A failure is as well a value of JSON, and a page."""
    target = f"{server.url}/missing"
    if option == "json":
        report = json.loads(run("doctor", target, "--json").out)
        assert (report["verdict"], report["findings"][0]["mechanism"]) == ("broken", "not-a-stream")
    else:
        assert run("doctor", target, "--html", f"{tmp_path}/report.html").code == 2


def test_host_that_cannot_be_resolved() -> None:
    """The line says that it is the name."""
    ran = run("doctor", "http://nowhere.invalid/stream", "--timeout", "5")
    assert (ran.code, ran.out.count("\n"), ran.err) == (2, 1, "")
    assert ran.out.startswith("broken: error: the name of the host cannot be resolved")


def test_port_at_which_nothing_listens() -> None:
    """The line says that the connection was refused."""
    ran = run("doctor", f"http://127.0.0.1:{free_port()}/stream")
    assert (ran.code, ran.out, ran.err) == (2, "broken: error: the connection was refused: nothing listens there\n", "")


@pytest.mark.parametrize(
    ("command", "proxy"), [("doctor", "foo://127.0.0.1:1"), ("doctor", "http://[::1"), ("tail", "socks5://127.0.0.1:1")]
)
def test_proxy_of_the_environment_that_cannot_be_used_is_named(command: str, proxy: str) -> None:
    """In one line, as for one that does not answer."""
    environment = {"HTTP_PROXY": proxy, "http_proxy": proxy, "NO_PROXY": "", "no_proxy": ""}
    ran = run(command, "http://127.0.0.1:1/", environment=environment)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "the proxy that the environment names cannot be used: " in ran.err


def test_password_of_an_address_is_in_no_report(diagnose: Diagnose) -> None:
    """It is sent, and not shown: reports are passed on."""
    port = free_port()
    assert diagnose(f"http://ann:secret@127.0.0.1:{port}/stream").url == f"http://127.0.0.1:{port}/stream"


def test_server_that_speaks_no_tls(server: OddServer) -> None:
    """The line says that TLS failed."""
    ran = run("doctor", server.url.replace("http:", "https:") + "/stream", "--timeout", "20")
    assert (ran.code, ran.out.count("\n"), ran.err) == (2, 1, "")
    assert ran.out.startswith("broken: error: TLS failed")


def test_port_that_accepts_and_never_answers() -> None:
    """The time-out holds from the first byte on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ran = run("doctor", f"http://127.0.0.1:{listener.getsockname()[1]}/", "--timeout", "2")
    assert (ran.code, ran.out) == (2, "broken: error: there was no answer within 2 s\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ftp://example.com"], "got 'ftp://example.com'"),
        (["example.com/stream"], "got 'example.com/stream'"),
        (["http://"], "got 'http://'"),
        (["http://[::1"], "got 'http://[::1'"),
        (["http://example.com/a b"], "got 'http://example.com/a b'"),
        (["http://example.com:99999/"], "got 'http://example.com:99999/'"),
        (["http://example.com", "--header", "no colon"], "got 'no colon'"),
        (["http://example.com", "--header", "X: a\nb"], "got 'X: a\\nb'"),
        (["http://example.com", "--timeout", "0"], "0.0 is not in the range"),
        (["http://example.com", "--idle", "nan"], "got nan"),
        (["http://example.com", "--idle", "301"], "301.0 is not in the range"),
        ([], "Missing argument 'URL'"),
    ],
)
def test_option_that_cannot_be_is_refused(arguments: list[str], says: str) -> None:
    """The message shows the value; exit code 2."""
    ran = run("doctor", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert "Traceback" not in ran.err


def test_report_that_cannot_be_written_is_an_error(server: OddServer) -> None:
    """The path is named, and there is no traceback."""
    ran = run("doctor", f"{server.url}/missing", "--html", "/nowhere/report.html")
    assert ran.code == 2
    assert "/nowhere/report.html" in ran.err
    assert "Traceback" not in ran.err
