"""The configurations of docs/deploy, and what each is built to do to a stream.

Tests of proxies and of the doctor take the table from here. Where a program is missing, `running.parts` says which;
where an answer depends on the app's server, `upstream` does.
"""

from __future__ import annotations

from tests.proxies.setup import GUNICORN, Setup


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
    "nginx-ignores-abort": nginx(
        "buffering-off",
        leaving="at the next frame",
        changes=(("proxy_buffering off;", "proxy_buffering off; proxy_ignore_client_abort on;"),),
    ),
    "nginx122-idle": nginx122(
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
    "nginx-behind-newer-nginx": nginx(
        "default",
        mechanism="headers-late",
        bare="whole-body",
        bare_bulk="tail-lag",
        crash_looks_clean=True,
        cure="nginx-behind-newer-nginx-inner",
        upstream=GUNICORN,
        behind="nginx122-default",
    ),
    "nginx-behind-newer-nginx-inner": nginx(
        "default", bare="headers-late", bare_bulk="tail-lag", upstream=GUNICORN, behind="nginx122-inner"
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
    "traefik-compress-excluded": _setup(
        "traefik",
        "compress.yaml",
        mechanism="headers-late",
        cure="traefik-recommended",
        changes=(("compress: {}", "compress: {excludedContentTypes: [text/event-stream, application/x-ndjson]}"),),
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
    "haproxy-tunnel": _setup(
        "haproxy",
        "recommended.cfg",
        mechanism="idle-cut",
        changes=(("timeout server 50s", "timeout server 2s\n    timeout tunnel 1h"),),
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
    "lighttpd-deflate": _setup("lighttpd", "deflate.conf", leaving="at the next frame", also="lighttpd-deflate"),
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
