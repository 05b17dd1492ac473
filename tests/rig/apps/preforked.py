"""The WSGI scenarios in a process that has streamed before its server forks it, as `gunicorn --preload` does."""

from __future__ import annotations

from tests.rig.apps.wsgi import app
from tests.rig.wsgi import WSGIHost

with WSGIHost(app) as _host:
    for _path in ("/async/finite", "/sync/finite"):
        with _host.open(_path) as _stream:
            _stream.read_to_end()

__all__ = ["app"]
