"""Products by the headers that they add, and their own lines against a mechanism. Data only.

Measured for those that can be run here; for services of a cloud, from the documents of the vendor, November 2026. More
on each is in docs/deploy.
"""

from __future__ import annotations

# product -> (header, part of its value in lower case); any of them is a sign
SIGNS: dict[str, tuple[tuple[str, str], ...]] = {
    "Cloudflare": (("cf-ray", ""), ("server", "cloudflare")),
    "CloudFront": (("x-amz-cf-id", ""), ("via", "cloudfront")),
    "API Gateway": (("x-amz-apigw-id", ""), ("apigw-requestid", "")),
    "Akamai": (("akamai-grn", ""), ("server", "akamai")),
    "Fastly": (("x-served-by", "cache-"), ("x-timer", "")),
    "Azure Front Door": (("x-azure-ref", ""),),
    "Azure Application Gateway": (("server", "microsoft-azure-application-gateway"), ("set-cookie", "gatewayaffinity")),
    "IIS": (("server", "microsoft-iis"), ("set-cookie", "arraffinity")),
    "Google's load balancer": (("via", "1.1 google"), ("server", "google frontend")),
    "Heroku": (("via", "heroku"), ("via", "vegur")),
    "Vercel": (("x-vercel-id", ""),),
    "Fly.io": (("fly-request-id", ""),),
    "ALB": (("server", "awselb"), ("set-cookie", "awsalb")),
    "Kong": (("via", "kong"), ("x-kong-proxy-latency", "")),
    "APISIX": (("server", "apisix"),),
    "Varnish": (("x-varnish", ""), ("via", "varnish")),
    "Envoy": (("server", "envoy"), ("x-envoy-upstream-service-time", "")),
    "Traffic Server": (("server", "ats/"), ("via", "trafficserver"), ("via", "apachetrafficserver")),
    "Squid": (("via", "squid"), ("x-squid-error", "")),
    "lighttpd": (("server", "lighttpd"),),
    "Apache": (("server", "apache"),),
    "h2o": (("server", "h2o"),),
    "Caddy": (("via", "caddy"), ("server", "caddy")),
    "nginx": (("server", "nginx"), ("server", "openresty"), ("server", "tengine")),
    "express": (("x-powered-by", "express"), ("x-powered-by", "next")),
}

_NGINX = (
    "proxy_buffering off;\n# and no proxy_ignore_headers X-Accel-Buffering\n"
    "# behind another nginx: on the inner one\nproxy_pass_header X-Accel-Buffering;"
)
_VARNISH = "set beresp.do_stream = true;\nset beresp.do_esi = false;"
GZIP_BUT_STREAMS = 'if (beresp.http.Content-Type !~ "event-stream|ndjson") {\n    set beresp.do_gzip = true;\n}'
_LIGHTTPD = "server.stream-response-body = 1"
_FASTLY = "set beresp.do_stream = true;"
_CADDY = "reverse_proxy app:8000 { } # without response_buffers and buffer_responses"
_ENVOY = "# no filter that reads the whole body: Lua body(), ext_proc BUFFERED, a WAF"

# (product, mechanism) -> lines of its configuration
CURES: dict[tuple[str, str], str] = {
    ("nginx", "whole-body"): _NGINX,
    ("nginx", "byte-quantum"): _NGINX,
    ("nginx", "tail-lag"): _NGINX,
    ("nginx", "headers-late"): _NGINX,
    ("nginx", "compressed"): "gzip off;      # and brotli off; for the path of the stream",
    ("nginx", "replayed"): "proxy_cache off; # for the path of the stream",
    ("nginx", "idle-cut"): "proxy_read_timeout 1h; # the default is 60 s; or a keepalive below it",
    ("nginx", "truncated-clean"): "proxy_http_version 1.1;",
    ("Kong", "idle-cut"): "# of the service\nread_timeout: 3600000",
    ("APISIX", "whole-body"): '"plugins": { "proxy-buffering": { "disable_proxy_buffering": true } }',
    ("lighttpd", "whole-body"): _LIGHTTPD,
    ("lighttpd", "byte-quantum"): _LIGHTTPD,
    ("lighttpd", "idle-cut"): '# in the backend of proxy.server\n"read-timeout" => 3600',
    ("Varnish", "whole-body"): _VARNISH,
    ("Varnish", "byte-quantum"): _VARNISH,
    ("Varnish", "compressed"): f"# in vcl_backend_response\n{GZIP_BUT_STREAMS}",
    ("Varnish", "replayed"): "return (pass); # in vcl_recv, for the path of the stream",
    ("Varnish", "idle-cut"): ".between_bytes_timeout = 1h; # of the backend; the default is 60 s",
    ("Caddy", "whole-body"): _CADDY,
    ("Caddy", "byte-quantum"): _CADDY,
    ("Caddy", "compressed"): "# Caddy 2.6 holds what it compresses: upgrade, or keep streams out of encode",
    ("Caddy", "idle-cut"): "transport http { read_timeout 1h }",
    ("Caddy", "total-cut"): "servers { timeouts { write 0 } }",
    ("Envoy", "whole-body"): _ENVOY,
    ("Envoy", "byte-quantum"): _ENVOY,
    ("Envoy", "idle-cut"): "stream_idle_timeout: 3600s # the default is 300 s",
    ("Envoy", "total-cut"): "timeout: 0s # of the route; the default is 15 s",
    ("Apache", "idle-cut"): "ProxyPass / http://app:8000/ timeout=3600",
    ("Apache", "compressed"): 'SetEnvIf Request_URI "^/stream" no-gzip=1',
    ("Squid", "idle-cut"): "read_timeout 1 hour # the default is 15 minutes",
    ("Traffic Server", "compressed"): "# compress.config: leave the types of streams out of compressible-content-type",
    ("Traffic Server", "idle-cut"): "proxy.config.http.transaction_no_activity_timeout_out: 3600 # the default is 30 s",
    ("h2o", "idle-cut"): "proxy.timeout.io: 3600000 # the default is 30 s",
    ("express", "compressed"): "Cache-Control: no-cache, no-transform # or compress: false in the development server",
    ("Fastly", "whole-body"): _FASTLY,
    ("Fastly", "byte-quantum"): _FASTLY,
    ("Akamai", "whole-body"): "# the property: no caching, no Adaptive Acceleration, chunked streaming for the path",
    ("Akamai", "idle-cut"): "# the property: raise the read time-out; or a keepalive every 4 s",
    ("API Gateway", "whole-body"): "responseTransferMode: STREAM # REST APIs only; HTTP APIs cannot stream",
    ("Azure Application Gateway", "whole-body"): "globalConfiguration: { enableResponseBuffering: false }",
    ("IIS", "whole-body"): '<proxy responseBufferLimit="0" />',
    ("ALB", "idle-cut"): "idle_timeout.timeout_seconds = 4000 # the default is 60 s",
    ("CloudFront", "idle-cut"): "# the origin: raise its response time-out from 30 s; or a keepalive below it",
    ("Cloudflare", "idle-cut"): "# a keepalive below its limit of 100 to 120 s",
    ("Heroku", "idle-cut"): "# a keepalive below its limit of 55 s",
    ("Google's load balancer", "total-cut"): "timeoutSec: 3600 # of the backend service; the default is 30 s, in total",
}
