"""The doctor through each proxy: it names what a configuration is built to do, and nothing else.

The table of `setups` says what a stream meets, asked for with gzip; the doctor asks without it too. So the words are
the same, but for two: of frames of 5 KB that a buffer of 4 KB cuts, the table sees the tail, the doctor the buffer; and
what holds with gzip alone the doctor calls `compressed`. Each setup is examined once, for several tests.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pickle
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.doctor.run import run, without_measures
from tests.proxies.running import cases, configuration, open_proxy
from tests.proxies.setup import LIMIT, Setup
from tests.proxies.setups import SETUPS
from tests.rig.requirements import needs
from tests.rig.servers import ROOT, SERVERS, Server

if TYPE_CHECKING:
    from streamkit.doctor._examine import Diagnosis
    from streamkit.doctor._observation import Observation

pytestmark = [pytest.mark.servers, needs("httpx")]

PATH = "/ndjson"
"""Of the two that the recommended files treat as streams, the one that all of them leave alone."""
IDLE = 2.5 * LIMIT
LOOKS = 3
"""A machine at its limit delays events by itself: what one look sees is seen again, or it was the machine."""

# The compressors that hold: which of its words the doctor has for them, asked with gzip and without.
COMPRESSORS: dict[str, set[str]] = {
    "nginx-gzip": {"compressed", "tail-lag", "headers-late"},
    "nginx122-gzip": {"whole-body", "byte-quantum", "truncated-clean"},
    "haproxy-compression": {"compressed"},
    "varnish-gzip": {"compressed", "whole-body", "byte-quantum", "replayed"},
}
FLUSH = ("apache-deflate", "caddy-encode", "envoy-gzip", "traefik-compress")

# A line of the cure, and whether the file that cures has it, or the file that is cured.
CURES: dict[str, tuple[str, bool]] = {
    "nginx122-ignores-the-header": ("proxy_buffering off;", True),
    "nginx-behind-nginx": ("proxy_pass_header X-Accel-Buffering;", True),
    "nginx-behind-newer-nginx": ("proxy_pass_header X-Accel-Buffering;", True),
    "nginx-behind-caddy": ("@rest not path /ndjson\nencode @rest", True),
    "caddy-encode": ("@rest not path /ndjson\nencode @rest", True),
    "caddy-response-buffers": ("response_buffers", False),
    "caddy-write-timeout": ("write 0", True),
    "traefik-compress": ("rule: Path(`/sse`) || Path(`/ndjson`)", True),
    "traefik-compress-excluded": ("rule: Path(`/sse`) || Path(`/ndjson`)", True),
    "traefik-buffering": ("buffering", False),
    "traefik-write-timeout": ("writeTimeout: 0s", True),
    "envoy-default": ("timeout: 0s", True),
    "envoy-whole-body-filter": ("body()", False),
    "haproxy-default": ("option http-no-delay", True),
    "haproxy-wait-for-body": ("wait-for-body", False),
    "varnish-gzip": ('if (beresp.http.Content-Type !~ "event-stream|ndjson") {', True),
    "lighttpd-default": ("server.stream-response-body = 1", True),
}

SLOW = "n=30&gap=60&size=100&first=300"
QUICK = "n=120&gap=16&size=700"

# A stream without a probe: what it is, the mechanism, and the verdict.
PLAIN: dict[str, tuple[str, str, str]] = {
    "caddy-default": (SLOW, "streamed", "streams"),
    "lighttpd-default": (SLOW, "whole-body", "buffers"),
    "nginx-gzip": (SLOW, "compressed", "buffers"),
    "nginx122-ignores-the-header": (QUICK, "byte-quantum", "buffers"),
    "haproxy-default": (SLOW, "time-quantum", "buffers"),
}


def expected(name: str) -> set[str]:
    """Return the mechanisms that are errors or warnings behind a setup."""
    setup = SETUPS[name]
    if name in COMPRESSORS:
        return COMPRESSORS[name]
    small, large = setup.meets(bare=True), setup.meets(bare=True, bulk=True)
    if (small, large) == ("whole-body", "tail-lag"):
        large = "byte-quantum"
    found = {small, large, setup.mechanism, setup.ndjson or "streamed"} - {"streamed"}
    if "whole-body" not in {small, setup.mechanism}:
        found -= {"whole-body"}
    found |= {"replayed"} if setup.replays else set()
    found |= {"truncated-clean"} if setup.crash_looks_clean else set()
    # Of frames of 5 KB the tail is late to streamkit too, where the header is not obeyed.
    return {"byte-quantum" if mechanism == "tail-lag" and "whole-body" in found else mechanism for mechanism in found}


def named(found: Diagnosis) -> set[str]:
    """Return the mechanisms that the doctor complains of."""
    return {finding.mechanism for finding in found.findings if finding.severity in ("error", "warning")}


def free(found: Diagnosis) -> bool:
    """Say whether all that carries streamkit's headers streams, from its head on."""
    from streamkit.doctor._seen import Seen

    seen = Seen(found.observations)
    return all(seen.streams_at_once(name) for name in ("both", "ndjson-both", "bulk-both", "large-both"))


def agrees(name: str, found: Diagnosis) -> bool:
    """Say whether the doctor and the table agree."""
    setup = SETUPS[name]
    if setup.cuts:
        return setup.mechanism in named(found)
    return named(found) == expected(name) and free(found) == setup.streams


class Probes:
    """Servers of the probe, one of each kind that is asked for, and what was found through the proxies before them.

    What was found stands in files: the tests of one setup may run in several processes.
    """

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        self._servers: dict[str, Server] = {}
        self._folder = folder

    @contextmanager
    def behind(self, name: str) -> Iterator[str]:
        """Run a setup before the probe; yield the address of the probe."""
        with open_proxy(name, self._server(SETUPS[name].upstream)) as proxy:
            yield f"{proxy.url}{PATH}"

    def examine(self, name: str) -> Diagnosis:
        """Examine a setup, where that was not done before."""
        with (self._folder / f"{name}.pickle").open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if file.tell() == 0:
                pickle.dump(self._look(name), file)
                file.flush()
            file.seek(0)
            found: Diagnosis = pickle.load(file)
            return found

    def _look(self, name: str) -> Diagnosis:
        with self.behind(name) as url:
            for _ in range(LOOKS):
                found = look(url, idle=IDLE if SETUPS[name].cuts else 0.0)
                if agrees(name, found):
                    break
            return found

    def stop(self) -> None:
        """End the servers."""
        self._stack.close()

    def _server(self, kind: str) -> int:
        if kind not in self._servers:
            app = f"tests.doctor.apps.{SERVERS[kind].interface}:app"
            self._servers[kind] = self._stack.enter_context(Server(SERVERS[kind], app))
        return self._servers[kind].port


def look(url: str, idle: float = 0.0) -> Diagnosis:
    """Examine an address once."""
    from streamkit.doctor._examine import examine
    from streamkit.doctor._fetch import Target

    return asyncio.run(examine(Target(url, idle=idle), lambda *_: None))


@pytest.fixture(scope="session")
def probes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probes]:
    """Keep what was found, for all tests of this run."""
    folder = tmp_path_factory.getbasetemp()
    probes = Probes(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)
    yield probes
    probes.stop()


def only(*names: str) -> pytest.MarkDecorator:
    """Run a test for these setups."""
    return cases(lambda setup: any(setup is SETUPS[name] for name in names))


def _is_healthy(setup: Setup) -> bool:
    return any(setup is SETUPS[name] and not setup.cuts and not expected(name) for name in SETUPS)


@cases(lambda setup: not setup.cuts)
def test_doctor_names_what_the_setup_is_built_to_do_and_nothing_else(probes: Probes, name: str) -> None:
    """What the table declares of bare answers, of recordings and of crashes, and no false alarm."""
    found = probes.examine(name)
    assert named(found) == expected(name), [finding.evidence for finding in found.findings]


@cases(lambda setup: setup.cuts)
def test_doctor_names_the_limit_that_the_setup_is_built_to_have(probes: Probes, name: str) -> None:
    """A limit of silence is told from one of age."""
    found = probes.examine(name)
    assert {SETUPS[name].mechanism} == named(found) & {"idle-cut", "total-cut"}
    assert found.verdict == "broken"


@cases(_is_healthy)
def test_doctor_has_no_complaint_where_there_is_none(probes: Probes, name: str) -> None:
    """Compressors that flush among them."""
    found = probes.examine(name)
    assert found.findings[0].mechanism == "streamed"
    assert found.verdict == "streams"


@only(*FLUSH)
def test_compressor_that_flushes_is_told_and_streams(probes: Probes, name: str) -> None:
    """Each event comes at once, and compressed: for information."""
    found = probes.examine(name)
    assert ("compressed", "info") in {(finding.mechanism, finding.severity) for finding in found.findings}
    assert found.verdict == "streams"


@cases(lambda setup: not setup.cuts)
def test_answers_with_the_headers_of_streamkit_meet_what_is_declared(probes: Probes, name: str) -> None:
    """What the pages claim for the headers the doctor sees too: from the head on nothing waits, or something does."""
    assert free(probes.examine(name)) == SETUPS[name].streams


def stripped(seen: Observation) -> Observation:
    """Return what was seen, without any header that could name a product."""
    kept = {key: value for key, value in seen.headers.items() if not key.startswith(("server", "via", "x-"))}
    return replace(seen, headers=kept)


@cases(lambda setup: True)
def test_headers_that_name_products_decide_nothing(probes: Probes, name: str) -> None:
    """Without Server, Via and X-* the same answers have the same findings, on the same evidence."""
    from streamkit.doctor._diagnosis import diagnose, verdict

    found = probes.examine(name)
    again = diagnose([stripped(seen) for seen in found.observations])
    assert [(one.mechanism, one.severity, one.evidence) for one in again] == [
        (one.mechanism, one.severity, one.evidence) for one in found.findings
    ]
    assert verdict(again) == found.verdict


@only(*CURES)
def test_cure_names_the_line_by_which_the_pages_cure(probes: Probes, name: str) -> None:
    """Known by its headers or not, the line is shown by which the two files differ: what cures, and what is cured."""
    from streamkit.doctor._diagnosis import diagnose

    line, added = CURES[name]
    cure = SETUPS[name].cure
    assert cure is not None
    texts = {has: _lines(configuration_of(setup)) for has, setup in ((True, cure), (False, name))}
    assert line in texts[added]
    assert line not in texts[not added]
    found = probes.examine(name)
    for findings in (found.findings, diagnose([stripped(seen) for seen in found.observations])):
        assert line in "\n".join(finding.cure for finding in findings)


def configuration_of(name: str) -> str:
    """Return the files of a setup and of what is behind it, without their comments."""
    setup = SETUPS[name]
    text = configuration(setup, 8080, 8000) + (configuration_of(setup.behind) if setup.behind else "")
    return "\n".join(line for line in text.splitlines() if not line.strip().startswith("#"))


def _lines(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())


def test_every_declared_cure_is_compared() -> None:
    """A setup that has a cure has a line here."""
    assert set(CURES) == {name for name, setup in SETUPS.items() if setup.cure}


@only(*PLAIN)
def test_stream_without_a_probe_is_judged_by_its_arrivals(probes: Probes, name: str) -> None:
    """One request, or two, and the same word for the mechanism."""
    query, mechanism, verdict = PLAIN[name]
    with probes.behind(name) as url:
        for _ in range(LOOKS):
            found = look(f"{url}?{query}")
            if found.verdict == verdict:
                break
    assert not found.with_probe
    assert [finding.mechanism for finding in found.findings if finding.severity in ("ok", "error")] == [mechanism]
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("name", "options", "code"),
    [
        pytest.param("apache-deflate", (), 0, marks=needs("apache", "uvicorn")),
        pytest.param("haproxy-default", (), 1, marks=needs("haproxy", "uvicorn")),
        pytest.param("nginx-idle", ("--idle", str(IDLE)), 2, marks=needs("nginx", "uvicorn")),
    ],
)
def test_command_says_the_same(probes: Probes, name: str, options: tuple[str, ...], code: int) -> None:
    """As a user runs it: its JSON names the mechanism, its exit code the verdict."""
    wanted = SETUPS[name].mechanism
    with probes.behind(name) as url:
        for _ in range(LOOKS):
            done = run("doctor", url, "--json", *options)
            named = wanted in {finding["mechanism"] for finding in json.loads(done.out)["findings"]}
            if named and done.code == code:
                break
    assert (named, done.code, done.err) == (True, code, "")


@only("nginx-behind-nginx")
def test_readme_shows_what_the_terminal_shows(probes: Probes, name: str) -> None:
    """Every line of it, in its order; where it says so, lines are left out."""
    (shown,) = re.findall(r"^```text\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    with probes.behind(name) as url:
        address = url.removesuffix(PATH) + "/__stream_probe"
        for _ in range(LOOKS):
            printed = without_measures(run("doctor", address, columns=100).out.replace(address, "ADDRESS"))
            wanted = without_measures(re.sub(r"http\S+", "ADDRESS", shown).replace("[...]\n", ""))
            lines = iter(printed)
            if all(line in lines for line in wanted):
                break
        else:
            pytest.fail("\n".join(printed))
