"""Where a source finds itself that belongs to no response: with what its framework needs, and on a loop that lasts.

A response's adapter knows its framework; here it is known by what the process has loaded, and nothing is imported.
"""

from __future__ import annotations

import asyncio
import sys

from streamkit._engine.background import background_loop
from streamkit._engine.stream import PLAIN, Surroundings


def surroundings() -> Surroundings:
    """Return what the framework of the running view puts around a source that outlives it."""
    flask = sys.modules.get("flask")
    if flask is not None and flask.has_app_context():
        from streamkit._engine._flask import FlaskSurroundings

        return FlaskSurroundings()
    conf = sys.modules.get("django.conf")
    if conf is not None and conf.settings.configured:
        from streamkit._engine._django.around import DjangoSurroundings

        return DjangoSurroundings()
    return PLAIN


def lasting_loop() -> asyncio.AbstractEventLoop:
    """Return the running loop; where it ends with the view, as asgiref's do under WSGI, the one of streamkit."""
    loop = asyncio.get_running_loop()
    bridge = getattr(sys.modules.get("asgiref.sync"), "AsyncToSync", None)
    return background_loop() if loop in getattr(bridge, "loop_thread_executors", ()) else loop
