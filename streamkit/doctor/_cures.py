"""Who may have done it, and the lines that help. Pure.

What a battery shows - which header cures, over which HTTP - says which family of products can behave so. The headers
of the answer may name a product; that only chooses among the words below, and the text says that it is a guess. They
show one hop of several: Caddy before nginx says `Server: nginx`, and HAProxy, Traefik and others say nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from streamkit.doctor._observation import Finding, Observation, Severity
from streamkit.doctor._products import CURES, GZIP_BUT_STREAMS, SIGNS

_HEADER = "X-Accel-Buffering: no"

# mechanism, which variant cures -> suspect, cure. The last of a mechanism, with "", is for what no header changes.
_FAMILIES: dict[tuple[str, str], tuple[str, str]] = {
    ("held", "accel"): (
        "nginx, or a product built on it: it obeys X-Accel-Buffering",
        f"# in the response; streamkit sends it\n{_HEADER}\n"
        "# or in nginx, for the path of the stream\nproxy_buffering off;",
    ),
    ("held", "both"): (
        "two hops: one obeys X-Accel-Buffering, one no-transform",
        f"# in the response; streamkit sends both\n{_HEADER}\nCache-Control: no-cache, no-transform",
    ),
    ("held", "identity"): (
        "a compressor that unpacks again for clients without gzip, such as Varnish with do_gzip",
        GZIP_BUT_STREAMS,
    ),
    ("held", "http2"): (
        "a proxy that holds HTTP/1.1 alone; browsers use HTTP/2 here",
        "# HAProxy, in the defaults or the backend\noption http-no-delay",
    ),
    ("time-quantum", ""): (
        "a proxy that waits for more before it sends, such as HAProxy without http-no-delay (200 ms)",
        "# HAProxy, in the defaults or the backend\noption http-no-delay",
    ),
    ("whole-body", ""): (
        "a proxy that stores the whole answer before it sends it, and obeys no header",
        "# the product is not known; where it is one of these:\n"
        "# nginx, without proxy_ignore_headers X-Accel-Buffering\nproxy_buffering off;\n"
        "# an nginx behind an nginx: the inner one\nproxy_pass_header X-Accel-Buffering;\n"
        "# lighttpd\nserver.stream-response-body = 1\n"
        "# Varnish, Fastly; without do_esi\nset beresp.do_stream = true;\n"
        "# Traefik: no buffering middleware\n# Caddy: no response_buffers\n# HAProxy: no wait-for-body\n"
        "# Envoy: no filter that reads it all, as Lua's body() does\n"
        "# API Gateway: responseTransferMode STREAM",
    ),
    ("byte-quantum", ""): (
        "a proxy that fills a buffer before it sends, and obeys no header",
        "# nginx; and no proxy_ignore_headers X-Accel-Buffering\nproxy_buffering off;\n"
        "# HAProxy: no http-response wait-for-body; Caddy: no response_buffers",
    ),
    ("tail-lag", ""): (
        "a proxy that keeps the last, unfilled part of a buffer until more comes",
        "# nginx\nproxy_buffering off;",
    ),
    ("compressed", "no-transform"): (
        "a compressor that obeys no-transform: express, webpack-dev-server, Next, HAProxy, Caddy, Envoy",
        "# in the response; streamkit sends it\nCache-Control: no-cache, no-transform",
    ),
    ("compressed", "accel-gzip"): (
        "the gzip or brotli of nginx, which flushes once its buffering is off",
        f"# in the response; streamkit sends it\n{_HEADER}\n# or in nginx, for the path of the stream\ngzip off;",
    ),
    ("compressed", "both"): (
        "a compressor that the two headers switch off",
        f"# in the response; streamkit sends both\n{_HEADER}\nCache-Control: no-cache, no-transform",
    ),
    ("compressed", "identity"): (
        "a compressor that obeys neither header, such as Varnish do_gzip or Traffic Server's compress",
        "# leave text/event-stream and application/x-ndjson out of what is compressed; Varnish:\n" + GZIP_BUT_STREAMS,
    ),
    ("compressed", ""): (
        "a compressor that no header switches off",
        "# leave text/event-stream and application/x-ndjson out of what is compressed",
    ),
    ("replayed", "no-cache"): (
        "a shared cache, which keeps what says nothing against it",
        "# in the response; streamkit sends it\nCache-Control: no-cache",
    ),
    ("replayed", ""): (
        "a shared cache that keeps even what says no-cache",
        "# nginx\nproxy_cache off;\n# Varnish, in vcl_recv, for the path of the stream\nreturn (pass);",
    ),
    ("headers-late", "accel"): (
        "nginx, or a product built on it: it waits for the first byte of the body while it buffers",
        f'# in the response; streamkit sends it\n{_HEADER}\n# or send a comment, ":", as the first line',
    ),
    ("headers-late", ""): (
        "the server of the app, or a proxy that waits for the first byte of the body",
        "# in the app: send something at once, such as a comment\n"
        "# or, where the inner of two nginx keeps the header to itself, there\nproxy_pass_header X-Accel-Buffering;",
    ),
    ("headers-late", "without-gzip"): (
        "a compressor that sends the head with the first event; asked without gzip, it came at once",
        "# keep the paths of streams away from the compressor; Caddy\n@rest not path /ndjson\nencode @rest\n"
        "# Traefik: a router for them, without the compress middleware\nrule: Path(`/sse`) || Path(`/ndjson`)",
    ),
    ("idle-cut", ""): (
        "the read time-out of a proxy",
        "# in the app: a keepalive more often than that\nStreamPolicy(keepalive=15)\n# or in the proxy, as in nginx\n"
        "proxy_read_timeout 1h;",
    ),
    ("total-cut", ""): (
        "a limit on the whole time of a request; a keepalive does not help",
        "# Envoy, on the route\ntimeout: 0s\n"
        "# Traefik, of the entry point, under respondingTimeouts\nwriteTimeout: 0s\n"
        "# Caddy, in the timeouts of servers\nwrite 0\n"
        "# others: raise the request time-out; and let clients resume, by id",
    ),
    ("truncated-clean", ""): (
        "a hop that speaks HTTP/1.0 to the server, or a server that cannot show a cut",
        '# say the end, so that its absence is seen\nEventStreamResponse(…, end=Event("", event="done"))\n'
        "# nginx before 1.29.7\nproxy_http_version 1.1;",
    ),
}


@dataclass(frozen=True, slots=True)
class Advice:
    """Suspects and cures for one path.

    Args:
        products: What the headers of the answers name, the likeliest first; a guess.
    """

    products: tuple[str, ...] = ()

    @classmethod
    def of(cls, observations: Iterable[Observation]) -> Self:
        """Read the fingerprint of a path from the answers."""
        found: dict[str, None] = {}
        for seen in observations:
            found.update(dict.fromkeys(fingerprint(seen.headers)))
        return cls(tuple(found))

    def finding(self, mechanism: str, severity: Severity, evidence: str, cured_by: str = "") -> Finding:
        """Return a finding with its suspect and its cure.

        Args:
            mechanism: By its name.
            severity: See Finding.
            evidence: What was seen.
            cured_by: The variant that did not show it, "" where none did.
        """
        suspect, cure = _family(mechanism, cured_by)
        product = next((name for name in self.products if (name, mechanism) in CURES), "")
        if product:
            lines = CURES[product, mechanism]
            if cured_by in ("", "identity", "http2"):
                cure = f"# {product}, which is a guess from the headers\n{lines}"
            suspect += f"; the headers suggest {product}: a guess"
        return Finding(mechanism, severity, evidence, suspect, cure)


def _family(mechanism: str, cured_by: str) -> tuple[str, str]:
    cured_by = {"large-both": "accel", "bulk-both": "both", "ndjson-both": "both"}.get(cured_by, cured_by)
    if (mechanism, cured_by) in _FAMILIES:
        return _FAMILIES[mechanism, cured_by]
    if cured_by and mechanism in ("whole-body", "byte-quantum", "time-quantum", "tail-lag"):
        return _FAMILIES["held", cured_by]
    return _FAMILIES.get((mechanism, ""), ("", ""))


def fingerprint(headers: Mapping[str, str]) -> list[str]:
    """Return the products that the headers of an answer name."""
    return [
        product
        for product, signs in SIGNS.items()
        if any(name in headers and part in headers[name].lower() for name, part in signs)
    ]
