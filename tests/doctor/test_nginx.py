"""The doctor through a real nginx before a real server, by configurations that people have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.doctor.conftest import Diagnose
from tests.rig.nginx import Nginx
from tests.rig.requirements import needs
from tests.rig.servers import Server

if TYPE_CHECKING:
    from streamkit.doctor._examine import Diagnosis

pytestmark = [pytest.mark.servers, needs("httpx", "nginx", "uvicorn", "gunicorn")]

HTTP10 = "proxy_http_version 1.0;"  # what nginx did by default before 1.29.7
IGNORED = "proxy_ignore_headers X-Accel-Buffering;"
GZIP = "gzip on; gzip_types *; gzip_proxied any;"
CACHE = "proxy_cache_path {home}/cache keys_zone=zone:1m;"
HELD = {"whole-body", "byte-quantum"}

# Directives of the location and of the whole; what is an error, the verdict, and a line of the cure.
CASES: dict[str, tuple[str, str, set[str], str, str]] = {
    "default": ("", "", {"tail-lag"}, "buffers", "X-Accel-Buffering: no"),
    "http10": (HTTP10, "", HELD, "buffers", "X-Accel-Buffering: no"),
    "http10-ignored": (HTTP10 + IGNORED, "", HELD, "buffers", "proxy_ignore_headers"),
    "ignored": (IGNORED, "", {"tail-lag"}, "buffers", "proxy_ignore_headers"),
    "ignored-but-off": (IGNORED + "proxy_buffering off;", "", set(), "streams", ""),
    "off": ("proxy_buffering off;", "", set(), "streams", ""),
    "gzip": (GZIP, "", {"compressed", "tail-lag"}, "buffers", "X-Accel-Buffering: no"),
    "gzip-ignored": (GZIP + IGNORED, "", {"compressed", "tail-lag"}, "buffers", "gzip off;"),
    "gzip-off": (GZIP + "proxy_buffering off;", "", set(), "streams", ""),
    "cache": (
        "proxy_cache zone; proxy_cache_valid 200 1m;",
        CACHE,
        {"replayed", "tail-lag"},
        "broken",
        "Cache-Control: no-cache",
    ),
    "stubborn-cache": (
        "proxy_cache zone; proxy_cache_valid 200 1m; proxy_ignore_headers Cache-Control;",
        CACHE,
        {"replayed", "tail-lag"},
        "broken",
        "proxy_cache off;",
    ),
}


def errors(found: Diagnosis) -> set[str]:
    """Return the mechanisms that decide the verdict."""
    return {finding.mechanism for finding in found.findings if finding.severity == "error"}


@pytest.mark.parametrize("name", CASES)
def test_mechanism_of_the_configuration_is_named(name: str, asgi_probe: Server, diagnose: Diagnose) -> None:
    """What the configuration does is found, and the line that cures it is shown."""
    location, http, mechanisms, verdict, line = CASES[name]
    with Nginx([asgi_probe.port], location=location, http=http) as nginx:
        found = diagnose(f"{nginx.url}/", until=lambda found: errors(found) == mechanisms)
    assert errors(found) == mechanisms
    assert found.verdict == verdict
    assert line in "\n".join(finding.cure for finding in found.findings)


@pytest.mark.parametrize("buffering", ["on", "off"])
def test_read_timeout_is_an_idle_cut(buffering: str, asgi_probe: Server, diagnose: Diagnose) -> None:
    """`proxy_read_timeout` cuts a silent stream, and none that is not silent."""
    with Nginx([asgi_probe.port], location=f"proxy_buffering {buffering}; proxy_read_timeout 1s;") as nginx:
        found = diagnose(f"{nginx.url}/", idle=2.5)
    assert "idle-cut" in {finding.mechanism for finding in found.findings}
    assert found.verdict == "broken"


def test_nginx_behind_nginx_eats_the_header(wsgi_probe: Server, diagnose: Diagnose) -> None:
    """The outer one buffers, whatever the app says, until the inner one passes the header on."""
    cure = "proxy_pass_header X-Accel-Buffering;"
    with Nginx([wsgi_probe.port]) as inner, Nginx([inner.port], location=HTTP10) as outer:
        found = diagnose(f"{outer.url}/", until=lambda found: errors(found) == HELD)
    assert errors(found) == HELD
    assert cure in found.findings[0].cure
    with Nginx([wsgi_probe.port], location=cure) as inner, Nginx([inner.port], location=HTTP10) as outer:
        cured = diagnose(f"{outer.url}/")
    assert "with X-Accel-Buffering: no they stream" in cured.findings[0].evidence
