"""The command as a user runs it: what it prints, writes and returns, for healthy streams and for others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamkit.doctor._report import MEANINGS
from tests.doctor.odd_server import OddServer, odd_server
from tests.doctor.relay import Relay, Ways, Whole
from tests.doctor.run import run
from tests.pages import ROOT, blocks
from tests.rig.browser import headless_chromium
from tests.rig.requirements import needs
from tests.rig.servers import Server

pytestmark = [pytest.mark.servers, needs("click", "rich", "httpx", "gunicorn")]

SHOWN = json.loads(next(block.text for block in blocks(ROOT / "docs" / "doctor.md") if block.language == "json"))


@pytest.fixture(scope="module")
def server() -> Iterator[OddServer]:
    """Serve streams without a probe."""
    with odd_server() as server:
        yield server


@pytest.fixture(scope="module")
def buffered(wsgi_probe: Server) -> Iterator[str]:
    """Return the address of a probe behind a buffer that a header switches off."""
    with Relay(wsgi_probe.port, Ways(Whole, obeys_accel=True)) as relay:
        yield f"{relay.url}/__stream_probe"


def test_json_has_its_schema(buffered: str) -> None:
    """The keys are those of the documentation, and nothing but JSON is printed."""
    ran = run("doctor", buffered, "--json")
    report = json.loads(ran.out)
    assert (ran.code, ran.err) == (1, "")
    assert list(report) == list(SHOWN)
    assert (report["url"], report["verdict"]) == (buffered, "buffers")
    for finding in report["findings"]:
        assert list(finding) == list(SHOWN["findings"][0])
        assert finding["mechanism"] in MEANINGS
        assert finding["severity"] in {"ok", "info", "warning", "error"}
    plain = next(probe for probe in report["probes"] if probe["name"] == "plain")
    assert list(plain) == list(SHOWN["probes"][0])
    assert list(plain["arrivals"][0]) == list(SHOWN["probes"][0]["arrivals"][0])
    assert (plain["shape"], plain["events"], plain["expected"], plain["status"]) == ("whole", 14, 14, 200)
    assert len(plain["sent_ms"]) == 14
    assert sum(arrival["events"] for arrival in plain["arrivals"]) == 14
    assert plain["origin_saw"]["http_version"] == "1.1"


def test_terminal_shows_verdict_timeline_and_cure(buffered: str) -> None:
    """One verdict, a row of blocks for each request, the cure as lines; and what streamkit's headers change."""
    ran = run("doctor", buffered)
    assert (ran.code, ran.err) == (1, "")
    lines = ran.out.splitlines()
    assert " ".join(lines[0].split()) == "buffers whole-body: events arrive all at once, at the end"
    (plain,) = [line for line in lines if line.startswith("plain")]
    assert re.fullmatch(r"plain +█ +all at once, 1\.\d s late", plain)
    (both,) = [line for line in lines if line.startswith("both")]
    assert both.count("▁") + both.count("▂") > 10
    assert "X-Accel-Buffering: no" in ran.out
    assert "With the headers that streamkit sends, events stream through here." in ran.out


@pytest.mark.parametrize("columns", [20, 60, 200])
def test_any_width_will_do(server: OddServer, columns: int) -> None:
    """A narrow terminal breaks no line of the verdict and raises nothing."""
    ran = run("doctor", f"{server.url}/stream", columns=columns)
    assert (ran.code, ran.err) == (0, "")
    assert "streamed: events arrive as they are sent" in ran.out


@pytest.mark.parametrize(
    ("path", "code", "mechanism"),
    [("stream", 0, "streamed"), ("endless", 0, "streamed"), ("lines", 0, "streamed"), ("late", 1, "whole-body")],
)
def test_stream_without_a_probe_is_judged_by_its_arrivals(
    server: OddServer, path: str, code: int, mechanism: str
) -> None:
    """An endless one is left after a while."""
    ran = run("doctor", f"{server.url}/{path}", "--json")
    report = json.loads(ran.out)
    assert (ran.code, report["findings"][0]["mechanism"]) == (code, mechanism)
    assert [probe["name"] for probe in report["probes"]] == ["stream"]


def test_headers_and_token_are_sent(server: OddServer) -> None:
    """Each request carries them; the token also from the environment."""
    run("doctor", f"{server.url}/missing", "-H", "Cookie: a=1", "--header", "X-One:2", "--token", "secret")
    assert server.asked[-1]["cookie"] == "a=1"
    assert server.asked[-1]["x-one"] == "2"
    assert server.asked[-1]["authorization"] == "Bearer secret"
    run("doctor", f"{server.url}/missing", environment={"STREAMKIT_PROBE_TOKEN": "other"})
    assert server.asked[-1]["authorization"] == "Bearer other"


def test_comparison_points_at_the_hop(buffered: str, wsgi_probe: Server) -> None:
    """Inside it streams and outside it does not, so it happens between the two; the first address decides the code."""
    inside = f"{wsgi_probe.url}/__stream_probe"
    ran = run("doctor", buffered, "--compare", inside, "--json")
    report = json.loads(ran.out)
    assert (ran.code, report["verdict"], report["compared"]["verdict"]) == (1, "buffers", "streams")
    assert report["between"] == f"{inside} streams and {buffered} does not: it happens between the two"


@pytest.fixture(scope="module")
def page(buffered: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the HTML report."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert run("doctor", buffered, "--html", str(path)).code == 1
    return path


class TestPage:
    """The HTML report."""

    def test_page_is_self_contained(self, page: Path) -> None:
        """It loads nothing, from nowhere, and runs nothing."""
        html = page.read_text(encoding="utf-8")
        assert not re.search(r"<script|<link|<img|@import|url\(|src=|href=", html)
        assert "<svg" in html

    @pytest.mark.browser
    @needs("playwright", "chromium")
    def test_page_shows_a_fan_for_what_was_held(self, page: Path) -> None:
        """In the picture the lines of `plain` end in one place and those of `both` in many; nothing overflows."""
        with headless_chromium() as browser:
            tab = browser.new_page(viewport={"width": 1000, "height": 800})
            tab.goto(page.as_uri())
            assert tab.inner_text("h1") == "buffers events arrive all at once, at the end"
            ends = tab.eval_on_selector_all(
                "svg line.bad[stroke-opacity]", "lines => new Set(lines.map(line => line.getAttribute('x2'))).size"
            )
            good = tab.eval_on_selector_all(
                "svg line.good[stroke-opacity]", "lines => new Set(lines.map(line => line.getAttribute('x2'))).size"
            )
            wide = tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert ends <= 8
        assert good > 14
        assert wide


def test_names_of_a_server_are_escaped_in_the_page() -> None:
    """What a server sends is text in the page, never a tag."""
    from streamkit.doctor._examine import LOOK, Diagnosis
    from streamkit.doctor._observation import Finding, Observation
    from streamkit.doctor._page import page

    evil = "<script>alert(1)</script>"
    seen = Observation(LOOK, 404, "HTTP/1.1", {"content-type": evil}, fault=evil)
    html = page([Diagnosis(evil, "broken", [Finding("error", "error", evil, evil, evil)], [seen], False, 1.0)])
    assert "<script" not in html


def test_help_names_both_commands() -> None:
    """A bare call says what there is."""
    ran = run("--help")
    assert ran.code == 0
    assert "doctor" in ran.out
    assert "tail" in ran.out
