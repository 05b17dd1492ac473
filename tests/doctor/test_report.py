"""Reports without a network: what is said of one request and of two addresses, and that nothing a server says harms."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from streamkit.doctor._battery import VARIANTS
from streamkit.doctor._diagnosis import diagnose, verdict
from streamkit.doctor._observation import Finding, Observation
from streamkit.doctor._recorder import Recorder
from streamkit.doctor._report import as_json, between, result
from tests.doctor.simulated import Path, battery, buffer, jitter, observe, one_late, pieces, timer, whole
from tests.rig.requirements import needs

pytestmark = needs("httpx", "rich")

PLAIN, CUT = VARIANTS[0], VARIANTS[-1]


def diagnosis(url: str, observations: Sequence[Observation]) -> Any:
    """Return what was found at one address."""
    from streamkit.doctor._examine import Diagnosis

    findings = diagnose(observations)
    return Diagnosis(url, verdict(findings), findings, observations, True, 1.0)


def reports(*found: Any) -> tuple[str, str]:
    """Return both reports for people: of the terminal, and the page."""
    from rich.console import Console

    from streamkit.doctor import _terminal as terminal
    from streamkit.doctor._page import page

    printed = io.StringIO()
    for one in found:
        terminal.show(Console(file=printed, width=100), one)
    return printed.getvalue(), page(found)


def seen(path: Path | None = None, **options: Any) -> Observation:
    """Return what `plain` sees."""
    return observe(PLAIN, *([] if path is None else [path]), **options)


@pytest.mark.parametrize(
    ("observation", "words"),
    [
        (seen(), "as sent"),
        (seen(whole), "all at once, 1.3 s late"),
        (seen(one_late), "one event late, 98 ms"),
        (seen(timer(0.3)), "4 at a time, every 300 ms"),
        (seen(jitter(1, 0.4)), "irregular"),
        (seen(stop=0.5), "cut after 3 of 14 events"),
        (seen(stop=0.5, ending="cut"), "cut after 3 of 14 events"),
        (seen(stop=0.5, ending="timeout"), "3 events"),
        (replace(seen(), status=503), "status 503"),
        (Observation(PLAIN.variant, fault="refused"), "refused"),
        (Observation(PLAIN.variant, 200, ending="timeout"), "no event"),
        (observe(CUT), "seen as cut"),
        (replace(observe(CUT), ending="clean"), "a normal end"),
    ],
)
def test_what_became_of_a_request_is_said_in_a_few_words(observation: Observation, words: str) -> None:
    """In the terminal and on the page."""
    assert result(observation) == words


GOOD, WHOLE, TIMED = (diagnose(battery(buffer(path))) for path in (lambda sent, end: sent, whole, timer(0.2)))
NOTHING = [Finding("error", "warning", "too few")]


@pytest.mark.parametrize(
    ("outside", "inside", "says"),
    [
        (NOTHING, GOOD, "one of the two could not be judged"),
        (GOOD, GOOD, "both stream: nothing between http://in/ and http://out/ holds events"),
        (WHOLE, GOOD, "http://in/ streams and http://out/ does not: it happens between the two"),
        (GOOD, WHOLE, "http://out/ streams and http://in/ does not: the outer one takes another way"),
        (WHOLE, WHOLE, "both show whole-body: it happens at http://in/ or behind it"),
        (WHOLE, TIMED, "the two show different mechanisms: cure the inner one first"),
    ],
)
def test_two_addresses_point_at_a_hop(outside: list[Finding], inside: list[Finding], says: str) -> None:
    """The page has the same words."""
    from streamkit.doctor._examine import Diagnosis

    found = [
        Diagnosis(url, verdict(findings), findings, [], True, 1.0)
        for url, findings in (("http://out/", outside), ("http://in/", inside))
    ]
    assert between(*found).startswith(says)
    assert says in reports(*found)[1]


def test_cure_is_given_once() -> None:
    """A second mechanism that it cures refers to the first."""
    found = diagnosis("http://a/", battery(buffer(pieces(4096), cured_by=frozenset({"accel"}))))
    assert [finding.mechanism for finding in found.findings] == ["whole-body", "byte-quantum"]
    for report in reports(found):
        assert report.count("proxy_buffering off;") == 1
        assert report.count("as above") == 1


def times(*sent: str) -> Observation:
    """Return what is seen of a probe that says these times."""
    recorder = Recorder(PLAIN.variant)
    recorder.head(0.1, 200, "HTTP/1.1", {"content-type": "application/x-ndjson"})
    for number, time in enumerate(sent):
        line = f'{{"seq":{number},"sent":{time},"nonce":"a","head":{time}}}\n'
        recorder.read(0.2 + number / 10, line.encode())
    return recorder.end(3.0, "clean")


@pytest.mark.parametrize(
    "sent",
    [
        ["1e999"] * 20,
        ["-1e999", "1e308", "-1e308", "1e308", "0.5"] * 4,
        ["0.1", "0.2", "null", "0.4", "0.5", "0.6"],
        ["5e-324", "0.0", "-0.0", "0.1"] * 5,
    ],
    ids=["infinite", "huge", "some missing", "tiny"],
)
def test_times_that_are_none_harm_no_report(sent: list[str]) -> None:
    """JSON has numbers that no clock shows; whatever a server sends, there is a report and no traceback."""
    found = diagnosis("http://a/", [replace(times(*sent), variant=asking.variant) for asking in VARIANTS])
    assert all(reports(found))
    json.dumps(as_json(found), allow_nan=False)
