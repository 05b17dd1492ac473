"""The configurations of docs/deploy, and what each is built to do to a stream.

The names of what it does are those that the doctor prints. Tests of both take the table from here. Where a program is
missing, `running.parts` says which; where its answer depends on the app's server, `upstream` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mechanism = Literal[
    "streamed",
    "whole-body",
    "byte-quantum",
    "time-quantum",
    "tail-lag",
    "compressed",
    "replayed",
    "headers-late",
    "idle-cut",
    "total-cut",
    "truncated-clean",
]
Leaving = Literal["at once", "at the next frame", "never"]

CUTS: frozenset[Mechanism] = frozenset({"idle-cut", "total-cut"})

UVICORN = "uvicorn-httptools"
GUNICORN = "gunicorn-gthread"
"""A server that answers HTTP/1.0, as nginx before 1.29.7 speaks it, with a body that ends when the connection does."""

LIMIT = 2.0
"""Seconds, in the place of limits too long to wait for: far above a keepalive of 0.3 s on a busy machine."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One configuration of one product.

    Args:
        product: its name in PRODUCTS.
        file: the configuration file, below docs/deploy.
        mechanism: what a response of streamkit meets.
        ndjson: what it meets as NDJSON, where that is something else than as an event stream.
        bulk: what it meets with frames of 5 KB, where that is something else.
        bare: what small frames meet without streamkit's headers, where that is something else.
        bare_bulk: what frames of 5 KB meet without them, where that is something else again.
        compresses: what arrives compressed, for a client that accepts gzip: a bare response, or ours too.
        replays: a second client of a bare response is sent the recording of the first.
        crash_looks_clean: an app that dies in the middle of a stream leaves the client with a clean end.
        leaving: when an app under uvicorn learns that a client has left a silent stream, if frames pass at all.
        bare_leaving: the same of a bare response, where it is something else.
        cure: the setup that differs by the lines which cure this one; None where there is nothing to cure.
        changes: lines of the file, and what a test puts in their place so that it need not wait long.
        arguments: more of the program.
        upstream: the app's server, a name in the rig.
        behind: the setup that stands between this one and the app.
    """

    product: str
    file: str
    mechanism: Mechanism = "streamed"
    ndjson: Mechanism | None = None
    bulk: Mechanism | None = None
    bare: Mechanism | None = None
    bare_bulk: Mechanism | None = None
    compresses: Literal["nothing", "bare", "all"] = "nothing"
    replays: bool = False
    crash_looks_clean: bool = False
    leaving: Leaving = "at once"
    bare_leaving: Leaving | None = None
    cure: str | None = None
    changes: tuple[tuple[str, str], ...] = ()
    arguments: str = ""
    upstream: str = UVICORN
    behind: str | None = None

    @property
    def cuts(self) -> bool:
        """Whether it is built to end a stream before its time, with the changes after LIMIT."""
        return self.mechanism in CUTS

    @property
    def streams(self) -> bool:
        """Whether nothing of a response of streamkit is held back or cut, however lively it is."""
        return {self.mechanism, self.ndjson or self.mechanism, self.bulk or self.mechanism} <= {"streamed", "idle-cut"}

    def meets(self, *, bare: bool = False, bulk: bool = False) -> Mechanism:
        """Return what an event stream meets."""
        small = (self.bare or self.mechanism) if bare else self.mechanism
        large = (self.bare_bulk or self.bare or self.bulk) if bare else self.bulk
        return (large or small) if bulk else small


def nginx(file: str, **details: object) -> Setup:
    """Return a setup of the newest nginx."""
    return Setup(product="nginx", file=f"nginx/{file}.conf", **details)  # type: ignore[arg-type]


def nginx122(file: str, **details: object) -> Setup:
    """Return a setup of the nginx that speaks HTTP/1.0 to an app which ends its bodies by closing."""
    return Setup(product="nginx 1.22", file=f"nginx/{file}.conf", upstream=GUNICORN, **details)  # type: ignore[arg-type]


_NGINX = {
    # Small chunks pass; what is held is the head, and of a frame beyond 4 KB its tail.
    "nginx-default": nginx("default", bare="headers-late", bare_bulk="tail-lag"),
    "nginx-gzip": nginx("gzip", bare="whole-body", compresses="all"),
    "nginx-recommended": nginx("recommended", bare="headers-late", bare_bulk="tail-lag"),
    "nginx-buffering-off": nginx("buffering-off"),
    "nginx-cache": nginx("cache", bare="headers-late", bare_bulk="tail-lag", replays=True),
    "nginx-idle": nginx(
        "recommended", mechanism="idle-cut", changes=(("proxy_read_timeout 60s;", "proxy_read_timeout 2s;"),)
    ),
    "nginx122-default": nginx122("default", bare="whole-body", bare_bulk="tail-lag", crash_looks_clean=True),
    "nginx122-gzip": nginx122("gzip", bare="whole-body", compresses="all", crash_looks_clean=True),
    "nginx122-recommended": nginx122("recommended", bare="headers-late", bare_bulk="tail-lag"),
    "nginx122-buffering-off": nginx122("buffering-off"),
    "nginx122-ignores-the-header": nginx122(
        "ignores-the-header",
        mechanism="whole-body",
        bulk="tail-lag",
        crash_looks_clean=True,
        cure="nginx122-ignores-but-off",
    ),
    "nginx122-ignores-but-off": nginx122("ignores-but-off", crash_looks_clean=True),
    "nginx122-inner": nginx122("inner", bare="headers-late", bare_bulk="tail-lag"),
}
_CHAINS = {
    "nginx-behind-nginx": nginx122(
        "default",
        mechanism="whole-body",
        bulk="tail-lag",
        crash_looks_clean=True,
        cure="nginx-behind-nginx-inner",
        behind="nginx122-default",
    ),
    "nginx-behind-nginx-inner": nginx122(
        "default", bare="whole-body", bare_bulk="byte-quantum", crash_looks_clean=True, behind="nginx122-inner"
    ),
    "nginx-behind-nginx-off": nginx122(
        "buffering-off",
        bare="whole-body",
        bare_bulk="tail-lag",
        crash_looks_clean=True,
        behind="nginx122-default",
    ),
    "nginx-behind-caddy": Setup(
        product="caddy",
        file="caddy/encode.caddyfile",
        ndjson="headers-late",
        bare="whole-body",
        bare_bulk="tail-lag",
        compresses="bare",
        crash_looks_clean=True,
        cure="nginx-behind-caddy-plain",
        upstream=GUNICORN,
        behind="nginx122-default",
    ),
    "nginx-behind-caddy-plain": Setup(
        product="caddy",
        file="caddy/recommended.caddyfile",
        bare="whole-body",
        bare_bulk="tail-lag",
        compresses="bare",
        crash_looks_clean=True,
        upstream=GUNICORN,
        behind="nginx122-default",
    ),
    "nginx-behind-haproxy": Setup(
        product="haproxy",
        file="haproxy/recommended.cfg",
        bare="whole-body",
        bare_bulk="tail-lag",
        crash_looks_clean=True,
        upstream=GUNICORN,
        behind="nginx122-default",
    ),
}


def _setup(product: str, file: str, **details: object) -> Setup:
    return Setup(product=product, file=f"{product}/{file}", **details)  # type: ignore[arg-type]


_CADDY = {
    "caddy-default": _setup("caddy", "default.caddyfile"),
    "caddy-encode": _setup(
        "caddy", "encode.caddyfile", ndjson="headers-late", compresses="bare", cure="caddy-recommended"
    ),
    "caddy-recommended": _setup("caddy", "recommended.caddyfile", compresses="bare"),
    "caddy-response-buffers": _setup(
        "caddy", "response-buffers.caddyfile", mechanism="whole-body", bulk="byte-quantum", cure="caddy-recommended"
    ),
    "caddy-idle": _setup(
        "caddy", "recommended.caddyfile", mechanism="idle-cut", changes=(("read_timeout 60s", "read_timeout 2s"),)
    ),
    "caddy-write-timeout": _setup(
        "caddy",
        "write-timeout.caddyfile",
        mechanism="total-cut",
        cure="caddy-recommended",
        changes=(("write 30s", "write 2s"),),
    ),
}
_TRAEFIK = {
    "traefik-default": _setup("traefik", "default.yaml"),
    "traefik-compress": _setup(
        "traefik", "compress.yaml", mechanism="headers-late", compresses="all", cure="traefik-recommended"
    ),
    "traefik-recommended": _setup("traefik", "recommended.yaml"),
    "traefik-buffering": _setup("traefik", "buffering.yaml", mechanism="whole-body", cure="traefik-recommended"),
    "traefik-write-timeout": _setup(
        "traefik",
        "write-timeout.yaml",
        mechanism="total-cut",
        cure="traefik-recommended",
        changes=(("writeTimeout: 30s", "writeTimeout: 2s"),),
    ),
}
_ENVOY = {
    "envoy-default": _setup(
        "envoy",
        "default.yaml",
        mechanism="total-cut",
        cure="envoy-recommended",
        changes=(("timeout: 15s", "timeout: 2s"),),
    ),
    "envoy-gzip": _setup("envoy", "gzip.yaml", compresses="bare"),
    "envoy-recommended": _setup("envoy", "recommended.yaml"),
    "envoy-whole-body-filter": _setup(
        "envoy", "whole-body-filter.yaml", mechanism="whole-body", cure="envoy-recommended"
    ),
    "envoy-idle": _setup(
        "envoy",
        "recommended.yaml",
        mechanism="idle-cut",
        changes=(("stream_idle_timeout: 300s", "stream_idle_timeout: 2s"),),
    ),
}
_HAPROXY = {
    "haproxy-default": _setup(
        "haproxy", "default.cfg", mechanism="time-quantum", leaving="at the next frame", cure="haproxy-recommended"
    ),
    "haproxy-compression": _setup(
        "haproxy", "compression.cfg", bare="tail-lag", compresses="bare", leaving="at the next frame"
    ),
    "haproxy-recommended": _setup("haproxy", "recommended.cfg"),
    "haproxy-wait-for-body": _setup(
        "haproxy",
        "wait-for-body.cfg",
        mechanism="whole-body",
        bulk="byte-quantum",
        cure="haproxy-recommended",
    ),
    "haproxy-idle": _setup(
        "haproxy", "recommended.cfg", mechanism="idle-cut", changes=(("timeout server 50s", "timeout server 2s"),)
    ),
}
_APACHE = {
    "apache-default": _setup("apache", "default.conf", leaving="at the next frame"),
    "apache-deflate": _setup("apache", "deflate.conf", compresses="all", leaving="at the next frame"),
    "apache-recommended": _setup("apache", "recommended.conf", leaving="at the next frame"),
    "apache-idle": _setup("apache", "recommended.conf", mechanism="idle-cut", changes=(("timeout=60", "timeout=2"),)),
}
_VARNISH = {
    "varnish-default": _setup(
        "varnish", "default.vcl", replays=True, leaving="at the next frame", bare_leaving="never"
    ),
    "varnish-gzip": _setup(
        "varnish",
        "gzip.vcl",
        mechanism="whole-body",
        compresses="all",
        replays=True,
        cure="varnish-recommended",
    ),
    "varnish-recommended": _setup("varnish", "recommended.vcl"),
    "varnish-idle": _setup("varnish", "recommended.vcl", mechanism="idle-cut", arguments="-p pipe_timeout=2"),
}
_SQUID = {
    "squid-default": _setup("squid", "default.conf"),
    "squid-recommended": _setup("squid", "recommended.conf"),
    "squid-idle": _setup(
        "squid",
        "recommended.conf",
        mechanism="idle-cut",
        changes=(("read_timeout 15 minutes", "read_timeout 2 seconds"),),
    ),
}
_LIGHTTPD = {
    "lighttpd-default": _setup(
        "lighttpd",
        "default.conf",
        mechanism="whole-body",
        crash_looks_clean=True,
        cure="lighttpd-recommended",
    ),
    "lighttpd-deflate": _setup("lighttpd", "deflate.conf", leaving="at the next frame"),
    "lighttpd-recommended": _setup("lighttpd", "recommended.conf", leaving="at the next frame"),
    "lighttpd-idle": _setup(
        "lighttpd",
        "recommended.conf",
        mechanism="idle-cut",
        changes=(('"read-timeout" => 60', '"read-timeout" => 2'),),
    ),
}

SETUPS = {
    **_NGINX,
    **_CHAINS,
    **_CADDY,
    **_TRAEFIK,
    **_ENVOY,
    **_HAPROXY,
    **_APACHE,
    **_VARNISH,
    **_SQUID,
    **_LIGHTTPD,
}
