"""The doctor and a served probe, with a relay between them that does one thing that proxies do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.doctor.conftest import Diagnose
from tests.doctor.relay import Gzip, OneLate, Pieces, Relay, Timer, Ways, Whole
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server

if TYPE_CHECKING:
    from streamkit.doctor._examine import Diagnosis

pytestmark = [pytest.mark.servers, needs("httpx", "uvicorn", "gunicorn")]

# What the relay does, what is found with its severity, the verdict, and seconds of silence to test.
CASES: dict[str, tuple[Ways, set[tuple[str, str]], str, float]] = {
    "nothing": (Ways(), {("streamed", "ok")}, "streams", 0),
    "whole": (Ways(Whole), {("whole-body", "error")}, "buffers", 0),
    "whole-accel": (Ways(Whole, obeys_accel=True), {("whole-body", "error")}, "buffers", 0),
    "4-KB": (Ways(lambda: Pieces(4096)), {("whole-body", "error"), ("byte-quantum", "error")}, "buffers", 0),
    "200-KB": (Ways(lambda: Pieces(200_000)), {("whole-body", "error"), ("byte-quantum", "error")}, "buffers", 0),
    "250-ms": (Ways(lambda: Timer(0.25)), {("time-quantum", "error")}, "buffers", 0),
    "2-s": (Ways(lambda: Timer(2.0)), {("time-quantum", "error")}, "buffers", 0),
    "one-late": (Ways(OneLate), {("tail-lag", "error")}, "buffers", 0),
    "gzip": (Ways(Gzip, gzip=True), {("compressed", "error")}, "buffers", 0),
    "gzip-no-transform": (
        Ways(Gzip, gzip=True, obeys_no_transform=True),
        {("compressed", "error")},
        "buffers",
        0,
    ),
    "gzip-flushed": (
        Ways(lambda: Gzip(flush=True), gzip=True),
        {("streamed", "ok"), ("compressed", "info")},
        "streams",
        0,
    ),
    "gzip-from-512-bytes": (Ways(lambda: Gzip(least=512), gzip=True), {("compressed", "error")}, "buffers", 0),
    "cache": (Ways(cache="obedient"), {("replayed", "error")}, "broken", 0),
    "stubborn-cache": (Ways(cache="stubborn"), {("replayed", "error")}, "broken", 0),
    "head-waits": (Ways(head_waits=True), {("streamed", "ok"), ("headers-late", "warning")}, "streams", 0),
    "clean": (Ways(clean=True), {("streamed", "ok"), ("truncated-clean", "warning")}, "streams", 0),
    "idle": (Ways(idle=1.0), {("idle-cut", "error")}, "broken", 2.5),
    "idle-clean": (Ways(idle=1.0, clean=True), {("idle-cut", "error"), ("truncated-clean", "warning")}, "broken", 2.5),
    "idle-survived": (Ways(), {("streamed", "ok")}, "streams", 1.5),
    "age": (Ways(age=1.0), {("total-cut", "error")}, "broken", 0),
    "age-with-idle": (Ways(age=2.2), {("total-cut", "error")}, "broken", 4.0),
}


def severities(found: Diagnosis) -> set[tuple[str, str]]:
    """Return the mechanisms that were found, each with its severity."""
    return {(finding.mechanism, finding.severity) for finding in found.findings}


@pytest.mark.parametrize("name", CASES)
def test_mechanism_of_the_relay_is_named(name: str, wsgi_probe: Server, diagnose: Diagnose) -> None:
    """What the relay was built to do is found, and nothing else."""
    ways, expected, verdict, idle = CASES[name]
    with Relay(wsgi_probe.port, ways) as relay:
        found = diagnose(f"{relay.url}/", idle=idle, until=lambda found: severities(found) == expected)
    assert severities(found) == expected
    assert (found.verdict, found.with_probe) == (verdict, True)


@pytest.mark.parametrize("name", ["nothing", "whole-accel", "4-KB", "250-ms", "gzip-no-transform", "cache"])
def test_stripped_headers_change_nothing(name: str, asgi_probe: Server, diagnose: Diagnose) -> None:
    """Without Server, Via and X-*, or with those of another product, the findings are the same."""
    ways, expected, verdict, _ = CASES[name]
    liar = {"Server": "envoy", "Via": "1.1 varnish", "X-Varnish": "1"}
    for changed in (replace(ways, strip=True), replace(ways, add=liar)):
        with Relay(asgi_probe.port, changed) as relay:
            found = diagnose(f"{relay.url}/", until=lambda found: severities(found) == expected)
        assert severities(found) == expected
        assert found.verdict == verdict


@needs("daphne")
def test_server_that_keeps_a_failed_answer_open_is_not_waited_for(diagnose: Diagnose) -> None:
    """Daphne leaves the connection open when an app fails; the verdict comes all the same."""
    with Server(SERVERS["daphne"], "tests.doctor.apps.asgi:app") as server:
        found = diagnose(f"{server.url}/", timeout=3000.0)  # far more than the test has
    assert [finding.mechanism for finding in found.findings] == ["streamed", "truncated-clean"]
    assert "left waiting" in found.findings[1].evidence
    (cut,) = [seen for seen in found.observations if seen.variant.cut]
    assert cut.ending == "timeout"


def test_two_hops_are_peeled(wsgi_probe: Server, diagnose: Diagnose) -> None:
    """Behind the buffer that a header switches off stands the timer."""
    with (
        Relay(wsgi_probe.port, Ways(lambda: Timer(0.25))) as inner,
        Relay(inner.port, Ways(Whole, obeys_accel=True)) as outer,
    ):
        both = {("whole-body", "error"), ("time-quantum", "error")}
        found = diagnose(f"{outer.url}/", until=lambda found: severities(found) == both)
    assert severities(found) == both
    assert "a second hop" in found.findings[-1].evidence


def test_healthy_path_is_judged_in_one_round(asgi_probe: Server, diagnose: Diagnose) -> None:
    """All requests of the battery run at once; one round is enough when nothing is held."""
    found = diagnose(f"{asgi_probe.url}/__stream_probe", until=lambda found: found.verdict == "streams")
    assert found.verdict == "streams"
    assert len({seen.variant.name for seen in found.observations}) == len(found.observations) > 15
    assert all(seen.echo["http_version"] == "1.1" for seen in found.observations)


def test_server_that_answers_one_at_a_time_is_judged(diagnose: Diagnose) -> None:
    """Requests that had to wait for a worker are not taken for held."""
    with Server(SERVERS["gunicorn-sync"], "tests.doctor.apps.wsgi:app") as server:
        found = diagnose(f"{server.url}/", timeout=45.0)
    assert found.verdict == "streams"
