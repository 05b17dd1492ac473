"""The doctor over TLS: HTTP/2 where it is offered, and certificates that nobody signed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.doctor.conftest import Diagnose
from tests.doctor.run import run
from tests.rig.requirements import needs
from tests.rig.servers import SERVERS, Server

pytestmark = [pytest.mark.servers, needs("httpx", "hypercorn", "openssl")]

_OPENSSL = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the probe by hypercorn, with a certificate of its own making."""
    home: Path = tmp_path_factory.mktemp("tls")
    files = ["-keyout", str(home / "key.pem"), "-out", str(home / "certificate.pem")]
    subprocess.run([*_OPENSSL.split(), *files], capture_output=True, timeout=30, check=True)
    plain = SERVERS["hypercorn"]
    command = f"{plain.command} --certfile {home}/certificate.pem --keyfile {home}/key.pem"
    with Server(replace(plain, command=command), "tests.doctor.apps.asgi:app") as server:
        yield f"https://127.0.0.1:{server.port}/__stream_probe"


def test_http2_is_measured_beside_http1(url: str, diagnose: Diagnose) -> None:
    """Where the server offers it, one variant goes over it, and the others do not."""
    found = diagnose(url, insecure=True)
    versions = {seen.variant.name: seen.http_version for seen in found.observations}
    assert (versions["http2"], versions["plain"]) == ("HTTP/2", "HTTP/1.1")
    assert found.verdict == "streams"
    assert found.findings[0].evidence.endswith("over HTTP/1.1 and HTTP/2")


@needs("click", "rich")
def test_certificate_that_nobody_signed_is_said(url: str) -> None:
    """One line, exit code 2, and the option that takes it as it is."""
    ran = run("doctor", url)
    assert (ran.code, ran.out.count("\n"), ran.err) == (2, 1, "")
    assert ran.out.startswith("broken: error: TLS failed: self")
    assert "--insecure" in ran.out
